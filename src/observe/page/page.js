"use strict";
(() => {
  const EVERY = 5000;
  // The server's clock counts, not this machine's.
  let ahead = Number(document.body.dataset.now) - performance.now();
  const now = () => performance.now() + ahead;
  const two = (n) => String(n).padStart(2, "0");

  const words = (s) => {
    const m = Math.floor(s / 60), h = Math.floor(s / 3600);
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${m} min`;
    if (s < 86400) return m % 60 ? `${h} h ${m % 60} min` : `${h} h`;
    return `${Math.floor(s / 86400)} d`;
  };
  const clock = (s) => {
    const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
    const rest = `${two(m)}:${two(s % 60)}`;
    if (d) return `${d} d ${two(h)}:${rest}`;
    return h ? `${h}:${rest}` : rest;
  };
  const tick = () => {
    for (const node of document.querySelectorAll("[data-at]")) {
      const left = (Number(node.dataset.at) - now()) / 1000;
      // What is due within the second is being fired.
      const s = Math.max(0, Math.ceil(left));
      const text = node.dataset.form === "clock" ? clock(s)
        : left < -3 ? `${words(Math.floor(-left))} overdue` : s ? `in ${words(s)}` : "now";
      if (node.textContent !== text) node.textContent = text;
    }
    for (const node of document.querySelectorAll("[data-clock]")) {
      const at = new Date(now() + Number(node.dataset.clock) * 1000);
      node.textContent = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
    }
  };

  const live = document.getElementById("live");
  let seen = performance.now();
  const refresh = async () => {
    const began = performance.now();
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(9000) });
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of document.querySelectorAll("[data-live]")) {
          const fresh = page.getElementById(part.id);
          if (fresh) part.replaceChildren(...fresh.childNodes);
        }
        document.title = page.title;
        ahead = Number(page.body.dataset.now) - performance.now();
        seen = performance.now();
        document.body.classList.remove("lost");
        live.textContent = "live";
      } catch {
        document.body.classList.add("lost");
        live.textContent = `no answer for ${words(Math.round((performance.now() - seen) / 1000))}; trying on`;
      }
      tick();
    }
    // A page that takes long to make is asked for less often.
    setTimeout(refresh, Math.max(EVERY, 10 * (performance.now() - began)));
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
  live.textContent = "live";
  tick();
  setInterval(tick, 250);
  setTimeout(refresh, EVERY);
})();
