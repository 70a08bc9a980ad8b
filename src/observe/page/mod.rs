//! The status page: one HTML document with all it needs, complete without JavaScript.
//!
//! What is wrong comes first: failing entries, then paused ones, then the others by their next fire
//! time. A few hundred rows are shown and the rest can be searched. The script only counts down and
//! takes newer versions of the page's parts in.
//!
//! - [`top`]: what is true of the scheduler as a whole;
//! - [`list`]: the entries;
//! - [`timeline`]: what is due in a day;
//! - [`words`]: times and texts as people read them.

pub mod list;
pub mod timeline;
pub mod top;
pub mod words;

use std::io::{self, Write};

use percent_encoding::percent_decode_str;

pub use timeline::Timeline;

use self::list::List;
use self::words::Html;
use super::view::View;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A drop on a line, in the colour of the page's accent.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
    %3Crect width='16' height='16' rx='4' fill='%231f6f54'/%3E\
    %3Cpath d='M2 9h3l2-5 2.5 8L11 9h3' fill='none' stroke='white' stroke-width='1.5'/%3E%3C/svg%3E";

/// Longest search text that is used, in characters.
const LONGEST: usize = 200;

/// What a reader of the page asks for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Only entries with this in their name, task or state; lower case, empty for all.
    pub search: String,
}

impl Asked {
    /// From the query of the target: `q=text`, as browsers send forms.
    #[must_use]
    pub fn of(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut search = pairs.filter(|(key, _)| *key == "q").map(|(_, text)| text);
        let search = search.next_back().unwrap_or_default().replace('+', " ");
        let search = percent_decode_str(&search).decode_utf8_lossy();
        let search = search.trim().chars().take(LONGEST).collect::<String>();
        Self {
            search: search.to_lowercase(),
        }
    }
}

/// Writes the page. What is marked with `nonce` may run.
pub fn write(
    view: &View,
    timeline: &Timeline,
    asked: &Asked,
    nonce: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    let list = List::of(view, asked);
    let name = Html(&view.loaded.settings.name);
    let failing = match list.counts.failing {
        0 => String::new(),
        failing => format!("({failing} failing) "),
    };
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{failing}{name} · beat</title><link rel=\"icon\" href=\"{ICON}\">\
         <style nonce=\"{nonce}\">{STYLE}</style>\
         <noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript></head>\n\
         <body data-now=\"{}\">",
        view.now.as_micros() / 1_000,
    )?;
    write!(out, "<div id=\"top\" data-live>")?;
    top::write(view, &list, timeline, out)?;
    write!(
        out,
        "</div>\n<section class=\"entries\" aria-labelledby=\"entries\">\
         <div class=\"bar\"><h2 id=\"entries\">Entries</h2>\
         <form action=\"/\" method=\"get\" role=\"search\">\
         <input type=\"search\" name=\"q\" value=\"{}\" maxlength=\"{LONGEST}\" \
         placeholder=\"Name, task, or paused, failing …\" aria-label=\"Search entries\">\
         <button>Search</button></form></div>\n<div id=\"list\" data-live>",
        Html(&asked.search),
    )?;
    list.write(view, timeline, asked, out)?;
    write!(
        out,
        "</div></section>\n<footer><p>beat {} · <a href=\"/status.json\">status.json</a> · \
         <a href=\"/metrics\">metrics</a></p><p id=\"live\" role=\"status\"></p></footer>\
         <script nonce=\"{nonce}\">{SCRIPT}</script></body></html>\n",
        env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_read_as_browsers_send_it() {
        for (query, search) in [
            ("", ""),
            ("q=", ""),
            ("q=Re%2Bports+X", "re+ports x"),
            ("x=1&q=%E2%82%AC%FF", "€\u{fffd}"),
            ("q=a&q=b", "b"),
        ] {
            assert_eq!(Asked::of(query).search, search, "{query}");
        }
    }
}
