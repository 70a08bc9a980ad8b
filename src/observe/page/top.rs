//! What is true of the scheduler as a whole: role, what is wrong, what comes next, who runs.

use std::io::{self, Write};

use super::list::{List, write_axis, write_time};
use super::timeline::{QUARTER, QUARTERS, Timeline};
use super::words::{Html, distance, foreign, number};
use crate::clock::Timestamp;
use crate::observe::view::{State, View};
use crate::store::presence::Presence;

/// Height of the drawing of the day, in its own units.
const HEIGHT: u32 = 100;

/// Writes everything above the entries.
pub fn write(
    view: &View,
    list: &List<'_>,
    timeline: &Timeline,
    out: &mut dyn Write,
) -> io::Result<()> {
    write_head(view, out)?;
    write_alerts(view, list, out)?;
    write!(out, "<section class=\"now\">")?;
    write_next(view, list, out)?;
    write_facts(view, list, out)?;
    writeln!(out, "</section>")?;
    write_day(view, timeline, out)?;
    write_instances(view, out)
}

fn write_head(view: &View, out: &mut dyn Write) -> io::Result<()> {
    let (_, term) = view.leader();
    let role = match view.role() {
        Some("leader") => "Leader",
        _ => "Standby",
    };
    write!(
        out,
        "<header><p class=\"brand\">beat</p><h1>{}</h1><p class=\"role {}\">{role}",
        Html(&view.loaded.settings.name),
        role.to_lowercase()
    )?;
    if let Some(term) = term {
        write!(out, "<span>term {term}</span>")?;
    }
    let zone = &view.loaded.settings.zone;
    let clock = zone.local(view.now).format("%H:%M:%S");
    writeln!(
        out,
        "</p><p class=\"clock\"><span data-clock=\"{}\">{clock}</span> <span class=\"zone\">{}</span></p></header>",
        zone.offset_at(view.now).local_minus_utc(),
        Html(zone.name())
    )
}

/// What is wrong, worst first.
fn write_alerts(view: &View, list: &List<'_>, out: &mut dyn Write) -> io::Result<()> {
    for warning in view.warnings() {
        writeln!(
            out,
            "<p class=\"alert bad\" role=\"alert\">{}</p>",
            foreign(&warning)
        )?;
    }
    if view.broker_up() == Some(false) {
        writeln!(
            out,
            "<p class=\"alert bad\" role=\"alert\">The broker takes no messages; what is due is sent as soon as it does.</p>"
        )?;
    }
    if view.store_up && view.leader().0.is_none() {
        writeln!(
            out,
            "<p class=\"alert bad\" role=\"alert\">Nobody leads: nothing is fired.</p>"
        )?;
    }
    if list.counts.failing > 0 {
        let (count, one) = (list.counts.failing, list.counts.failing == 1);
        let entries = if one { "entry fails" } else { "entries fail" };
        writeln!(
            out,
            "<p class=\"alert bad\" role=\"alert\">{} {entries} and {} tried again. <a href=\"/?q=failing\">Show</a></p>",
            number(count as u64),
            if one { "is" } else { "are" }
        )?;
    }
    if let Some(mark) = view.overview.paused.get("*") {
        let colon = if mark.reason.is_empty() { "" } else { ": " };
        writeln!(
            out,
            "<p class=\"alert held\">All entries are paused by {}{colon}{}</p>",
            foreign(&mark.by),
            foreign(&mark.reason)
        )?;
    }
    write_refusals(view, out)
}

/// Reloads that were refused: of this instance with the source line, of others in one line.
fn write_refusals(view: &View, out: &mut dyn Write) -> io::Result<()> {
    let own = view.own.as_ref();
    if let Some(drawn) = own.and_then(|own| own.refusal.as_deref()) {
        let cut: String = drawn.chars().take(6_000).collect();
        writeln!(
            out,
            "<div class=\"alert bad\" role=\"alert\"><p>The changed schedule was refused; the one from before stays in force.</p><pre>{}</pre></div>",
            Html(cut.trim_end())
        )?;
    }
    let this = own.map(|own| own.presence.instance.as_str());
    let said = own.and_then(|own| own.presence.reload_error.as_deref());
    for one in view.instances() {
        let Some(error) = one.reload_error.as_deref() else {
            continue;
        };
        // Instances that read the same file refuse it for the same reason.
        if Some(one.instance.as_str()) != this && Some(error) != said {
            writeln!(
                out,
                "<p class=\"alert bad\">{} has refused its changed schedule: {}</p>",
                foreign(&one.host),
                foreign(error)
            )?;
        }
    }
    Ok(())
}

fn write_next(view: &View, list: &List<'_>, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "<div class=\"next-fire\"><h2>Next fire</h2>")?;
    match list.next {
        None => write!(
            out,
            "<p class=\"countdown\">–</p><p class=\"sub\">nothing is due</p>"
        )?,
        Some((entry, at)) => {
            write!(
                out,
                "<p class=\"countdown\" data-at=\"{}\" data-form=\"clock\">{}</p><p class=\"what\"><b>{}</b> <span class=\"sub\">at ",
                at.as_micros() / 1_000,
                distance(at, view.now),
                Html(&entry.name)
            )?;
            write_time(at, &entry.zone, view.now, out)?;
            // The clock of the page shows the schedule's zone.
            let zone = entry.zone.name();
            if zone != view.loaded.settings.zone.name() {
                write!(out, " {}", Html(zone))?;
            }
            write!(out, "</span></p>")?;
        }
    }
    writeln!(out, "</div>")
}

fn write_facts(view: &View, list: &List<'_>, out: &mut dyn Write) -> io::Result<()> {
    let settings = &view.loaded.settings;
    let state = |state: State| list.counts.states[state as usize];
    let parts = [
        ("failing", list.counts.failing),
        ("paused", state(State::Paused)),
        ("disabled", state(State::Disabled)),
        ("finished", state(State::Finished)),
    ];
    let parts = parts.iter().filter(|(_, count)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(word, count)| {
            let count = number(*count as u64);
            format!("<a href=\"/?q={word}\">{count} {word}</a>")
        })
        .collect();
    let parts = if parts.is_empty() {
        "all active".to_owned()
    } else {
        parts.join(", ")
    };
    write!(out, "<dl>")?;
    let all = number(list.counts.all as u64);
    write_fact("Entries", "", &all, &parts, out)?;
    let up = |up: Option<bool>| match up {
        Some(true) => ("up", "Up"),
        Some(false) => ("down", "Down"),
        None => ("", "Not asked"),
    };
    let (class, word) = up(view.broker_up());
    let mode = match view.mode() {
        Some("atomic") => ", published and recorded at once",
        Some("confirmed") => ", published, then recorded",
        Some("shadow") => ", nothing is published",
        _ => "",
    };
    let url = Html(settings.broker.to_string());
    write_fact("Broker", class, word, &format!("{url}{mode}"), out)?;
    let (class, word) = up(Some(view.store_up));
    let url = Html(settings.store.to_string()).to_string();
    write_fact("Store", class, word, &url, out)?;
    if let Some(one) = view.speaker() {
        let digest = foreign(&one.digest).to_string();
        let loaded = seen(&one.loaded_at).map_or_else(String::new, |at| {
            format!("loaded {}", distance(at, view.now))
        });
        write_fact("Schedule", "digest", &digest, &loaded, out)?;
    }
    writeln!(out, "</dl>")
}

/// `value` and `more` are HTML.
fn write_fact(
    name: &str,
    class: &str,
    value: &str,
    more: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(
        out,
        "<div><dt>{name}</dt><dd class=\"value {class}\">{value}</dd><dd class=\"sub\">{more}</dd></div>"
    )
}

fn write_day(view: &View, timeline: &Timeline, out: &mut dyn Write) -> io::Result<()> {
    let zone = &view.loaded.settings.zone;
    let peak = timeline.load.iter().copied().max().unwrap_or(0);
    let local = |quarter: usize| {
        let quarter = i64::try_from(quarter).unwrap_or(0);
        zone.local(timeline.start.plus_micros(quarter * QUARTER))
            .format("%H:%M")
    };
    write!(
        out,
        "<section class=\"day\"><div class=\"bar\"><h2>Next 24 hours</h2><p class=\"sub\">entries due in each quarter of an hour"
    )?;
    if let Some(busiest) = timeline
        .load
        .iter()
        .position(|load| *load == peak && peak > 0)
    {
        write!(out, "; most, {}, at {}", number(peak), local(busiest))?;
    }
    let entries = view.loaded.timetable.entries.len();
    if timeline.drawn < entries {
        write!(
            out,
            "; drawn for the first {} of {}",
            number(timeline.drawn as u64),
            number(entries as u64)
        )?;
    }
    write!(
        out,
        "</p></div><svg viewBox=\"0 0 {QUARTERS} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Entries due in the next 24 hours\">"
    )?;
    for (quarter, load) in timeline
        .load
        .iter()
        .enumerate()
        .filter(|(_, load)| **load > 0)
    {
        // Even one of thousands is seen.
        let height = (load * HEIGHT / peak.max(1)).max(4);
        write!(
            out,
            "<rect x=\"{quarter}.1\" y=\"{}\" width=\"0.8\" height=\"{height}\"><title>{}: {}</title></rect>",
            HEIGHT - height,
            local(quarter),
            number(*load)
        )?;
    }
    let thousandths = view.now.micros_since(timeline.start) * 1_000 / QUARTER;
    write!(
        out,
        "<line x1=\"{0}.{1:03}\" x2=\"{0}.{1:03}\" y1=\"0\" y2=\"{HEIGHT}\"/></svg>",
        thousandths / 1_000,
        thousandths % 1_000
    )?;
    write_axis(timeline, zone, 8, out)?;
    writeln!(out, "</section>")
}

fn write_instances(view: &View, out: &mut dyn Write) -> io::Result<()> {
    let (leader, _) = view.leader();
    let mut instances = view.instances();
    instances.sort_by_key(|one| (Some(one.instance.as_str()) != leader, &one.instance));
    let this = view.own.as_ref().map(|own| own.presence.instance.as_str());
    writeln!(out, "<section class=\"instances\"><h2>Instances</h2><ul>")?;
    for one in instances {
        let leads = Some(one.instance.as_str()) == leader;
        let role = if leads { "leader" } else { "standby" };
        let here = if Some(one.instance.as_str()) == this {
            " <span class=\"chip\">this one</span>"
        } else {
            ""
        };
        write!(
            out,
            "<li class=\"{role}\"><b>{}</b>{here}<span class=\"sub\">{role}, pid {}, version {}, digest {}{}</span></li>",
            foreign(&one.host),
            one.pid,
            foreign(&one.version),
            foreign(&one.digest),
            seen_at(one, view.now)
        )?;
    }
    writeln!(out, "</ul></section>")
}

/// When an instance was last heard of, if that is long ago.
fn seen_at(one: &Presence, now: Timestamp) -> String {
    match seen(&one.seen_at) {
        Some(at) if now.micros_since(at) > 120_000_000 => {
            format!(", last seen {}", distance(at, now))
        }
        _ => String::new(),
    }
}

fn seen(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_datetime)
}
