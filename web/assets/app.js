// What the page does beyond HTML: it follows the server's events, keeps
// itself current without jumping, draws the chart, and listens to the
// keyboard. Everything else works without it.
"use strict";

(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ---- Keeping current ----------------------------------------------------

  let refreshing = false;
  let again = false;
  let refreshed = performance.now();
  const rest = Number($("#main").dataset.rest); // seconds between two renewals, negative is never
  let moved = 0; // when the pointer last moved: nothing moves under a hand

  document.addEventListener("pointermove", () => { moved = performance.now(); }, { passive: true });

  // refresh fetches this page and morphs <main> into it. What is marked with
  // data-keep (search, answer, chart) stays as the reader left it.
  async function refresh() {
    if (refreshing) { again = true; return; }
    if (rest < 0) return; // somebody writes here
    refreshing = true;
    refreshed = performance.now();
    try {
      await htmx.ajax("GET", location.pathname + location.search, {
        source: "#main", target: "#main", select: "#main", swap: "outerMorph",
      });
      current();
      dispatchEvent(new Event("renewed"));
    } finally {
      refreshing = false;
      if (again) { again = false; refresh(); }
    }
  }

  // current brings what stands outside <main> in line with it.
  function current() {
    const open = Number($("#main").dataset.open || 0);
    const badge = $("#open-count");
    if (!badge) return;
    badge.hidden = open === 0;
    $("span", badge).textContent = open;
    document.title = document.title.replace(/^(\(\d+\) )?/, open ? `(${open}) ` : "");
  }

  // due says whether a page whose figures change slowly has rested enough.
  const due = () => performance.now() - refreshed >= rest * 1000;
  const busy = () => document.hidden || performance.now() - moved < 1500 || $("#main :focus-visible[data-walk]");

  // ---- Following ----------------------------------------------------------

  const live = $("#live");
  const known = new Set($("#main").dataset.alerts.split(" ")); // alerts already seen
  let losing; // says so only if the server stays away

  function standing(state, word) {
    if (live.dataset.state === state) return;
    live.dataset.state = state;
    $("#live-word").textContent = word;
  }

  function beat(e) {
    const now = JSON.parse(e.data);
    clearTimeout(losing);
    losing = 0;
    standing("live", "Live");
    $("#fleet-day").textContent = now.day;
    $("#fleet-clock").textContent = now.clock;
    live.classList.remove("beat");
    void live.offsetWidth; // starts the animation anew
    live.classList.add("beat");
    if (!busy() && due()) refresh();
  }

  const address = (alert) => document.body.dataset.base + "/alerts/" + encodeURIComponent(alert.id);

  function toast(alert) {
    const box = document.createElement("div");
    box.className = "toast";
    const link = document.createElement("a");
    link.href = address(alert);
    link.textContent = `New alert: ${alert.machine}. ${alert.words}, ${alert.percent}.`;
    const close = document.createElement("button");
    close.type = "button";
    close.setAttribute("aria-label", `Dismiss the alert for ${alert.machine}`);
    close.textContent = "×";
    close.addEventListener("click", () => box.remove());
    box.append(link, close);
    const toasts = $("#toasts");
    toasts.append(box);
    while (toasts.children.length > 3) toasts.firstElementChild.remove();
  }

  function follow(stream) {
    const events = new EventSource(stream);
    events.addEventListener("beat", beat);
    events.addEventListener("opened", (e) => {
      const alert = JSON.parse(e.data);
      if (known.has(alert.id)) return; // told again after a reconnection
      known.add(alert.id);
      if (location.pathname !== address(alert)) toast(alert);
      refresh();
    });
    events.addEventListener("closed", () => refresh());
    events.addEventListener("error", () => {
      losing ||= setTimeout(standing, 4000, "lost", "Reconnecting …");
      if (events.readyState === EventSource.CLOSED) setTimeout(() => { refresh(); follow(stream); }, 5000);
    });
    addEventListener("pagehide", () => events.close(), { once: true });
  }

  if (document.body.dataset.follow) follow(document.body.dataset.follow);
  else if (rest > 0) setInterval(() => { if (!busy()) refresh(); }, rest * 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && (live || rest > 0)) refresh(); });

  // ---- Searching and filtering -------------------------------------------

  function go(address) {
    history.replaceState(null, "", address);
    refresh();
  }

  const q = $("#q");
  if (q) {
    let waiting;
    const search = () => {
      const to = new URL(location.href);
      if (q.value) to.searchParams.set("q", q.value); else to.searchParams.delete("q");
      go(to);
    };
    q.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 150); });
    q.form.addEventListener("submit", (e) => { e.preventDefault(); clearTimeout(waiting); search(); });
    document.addEventListener("click", (e) => {
      const chip = e.target.closest("a.chip");
      if (!chip || e.ctrlKey || e.metaKey || e.shiftKey) return;
      e.preventDefault();
      go(chip.href);
    });
  }

  // ---- Keyboard -----------------------------------------------------------

  const typing = (e) => e.target.closest("input:not([type=radio]), textarea, select");

  function walk(e) {
    const all = $$("[data-walk]");
    const at = all.indexOf(document.activeElement);
    const columns = at < 0 ? 1 : all.filter((x) => Math.abs(x.getBoundingClientRect().top - all[at].getBoundingClientRect().top) < 4).length;
    const step = { ArrowRight: 1, j: 1, ArrowLeft: -1, k: -1, ArrowDown: columns, ArrowUp: -columns }[e.key];
    if (!step || !all.length || (at < 0 && !["j", "ArrowDown"].includes(e.key))) return;
    if (at < 0 && document.activeElement !== q && document.activeElement !== document.body && document.activeElement !== $("#main")) return;
    const next = all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + step))];
    e.preventDefault();
    next.focus({ focusVisible: true });
  }

  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.target === q && e.key === "Escape") {
      q.value = "";
      q.dispatchEvent(new Event("input"));
      return;
    }
    if (e.target === q && e.key === "ArrowDown") return walk(e);
    if (typing(e) || (e.target.type === "radio" && e.key.startsWith("Arrow"))) return;
    if (e.key === "/" && q) {
      e.preventDefault();
      q.select();
      return q.focus();
    }
    const choice = /^[1-5]$/.test(e.key) && $(`form.asked input[data-key="${e.key}"]`);
    if (choice) {
      choice.checked = true;
      return choice.focus({ focusVisible: true });
    }
    walk(e);
  });

  // The list of fleets closes when the reader goes elsewhere.
  const fleets = $(".switch");
  if (fleets) {
    document.addEventListener("click", (e) => { if (!fleets.contains(e.target)) fleets.open = false; });
    fleets.addEventListener("focusout", (e) => { if (e.relatedTarget && !fleets.contains(e.relatedTarget)) fleets.open = false; });
    fleets.addEventListener("keydown", (e) => {
      if (e.key !== "Escape" || !fleets.open) return;
      fleets.open = false;
      $("summary", fleets).focus();
    });
  }

  // One tap sends once.
  document.addEventListener("submit", (e) => {
    if (e.target.method !== "post") return;
    if (e.target.dataset.sent) return e.preventDefault();
    e.target.dataset.sent = "yes";
  });

  // ---- Charts -------------------------------------------------------------

  const color = (name, alpha = 1) => {
    const probe = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    return alpha === 1 ? probe : probe + Math.round(alpha * 255).toString(16).padStart(2, "0");
  };

  // frame is what every chart looks like.
  function frame(plot, decimals) {
    const axis = { font: "12px system-ui, sans-serif", stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
    const number = new Intl.NumberFormat("en", { maximumFractionDigits: decimals });
    return {
      width: plot.clientWidth,
      height: plot.clientHeight,
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { y: false, points: { size: 8 }, drag: { x: false, y: false } },
      axes: [
        { ...axis, grid: { show: false }, size: 34, values: [
          [86400, "{D} {MMM}", null, null, null, null, null, null, 1],
          [3600, "{HH}:{mm}", "\n{D} {MMM}", null, null, null, null, null, 1],
        ] },
        { ...axis, size: 58, values: (u, marks) => marks.map((v) => number.format(v)) },
      ],
    };
  }

  // fits keeps a chart as wide as its place, and in the colours of the scheme.
  function fits(plot, drawn, draw) {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    let width = 0;
    new ResizeObserver(() => {
      if (plot.clientWidth === width) return;
      width = plot.clientWidth;
      if (drawn()) drawn().setSize({ width, height: plot.clientHeight });
    }).observe(plot);
  }

  const section = $("[data-chart]");
  if (section) chart(section);

  function chart(section) {
    const plot = $(".plot", section);
    const caption = $("#chart-sum");
    let shown = null; // the data
    let drawn = null; // the uPlot
    let asked = 0;

    const pick = (name) => $(`input[name="${name}"]:checked`, section).value;

    async function load() {
      const turn = ++asked;
      try {
        const answer = await fetch(`${section.dataset.chart}?sensor=${encodeURIComponent(pick("sensor"))}&days=${pick("days")}&until=${encodeURIComponent(section.dataset.until)}`);
        if (!answer.ok) throw new Error(answer.status);
        const data = await answer.json();
        if (turn !== asked) return; // another was asked for meanwhile
        shown = data;
        caption.textContent = data.summary;
        draw();
      } catch {
        if (turn === asked) caption.textContent = "The chart could not be loaded. Choose a sensor to try again.";
      }
    }

    // under paints the usual range and the alerts behind the line.
    function under(u) {
      const { ctx } = u;
      const { left, top, width, height } = u.bbox;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, top, width, height);
      ctx.clip();
      if (shown.usual) {
        const high = u.valToPos(shown.usual.high, "y", true);
        const low = u.valToPos(shown.usual.low, "y", true);
        ctx.fillStyle = color("--healthy", 0.13);
        ctx.fillRect(left, high, width, Math.max(2, low - high));
      }
      for (const alert of shown.alerts) {
        const from = u.valToPos(alert.from, "x", true);
        const to = Math.max(from + 2 * devicePixelRatio, u.valToPos(alert.to, "x", true));
        ctx.fillStyle = color("--risk", alert.open ? 0.16 : 0.08);
        ctx.fillRect(from, top, to - from, height);
        ctx.fillStyle = color("--risk", alert.open ? 1 : 0.5);
        ctx.fillRect(from, top, 2 * devicePixelRatio, height);
      }
      ctx.restore();
    }

    function draw() {
      if (drawn) drawn.destroy();
      plot.replaceChildren();
      if (!shown || !shown.times.length) return;
      drawn = new uPlot({
        ...frame(plot, Math.min(shown.decimals, 2)),
        scales: {
          x: { range: () => [shown.from, shown.to] },
          y: { range: (u, low, high) => {
            if (shown.usual) { low = Math.min(low, shown.usual.low); high = Math.max(high, shown.usual.high); }
            const room = (high - low || Math.abs(high) || 1) * 0.08;
            return [low - room, high + room];
          } },
        },
        series: [{}, {
          stroke: color("--ink"), width: 1.4, spanGaps: false, points: { show: false },
          gaps: (u, series, from, to, gaps) => gaps,
        }],
        hooks: { drawClear: [under], setCursor: [hover] },
      }, [shown.times, shown.values], plot);
    }

    // hover reads the value under the pointer into the caption.
    function hover(u) {
      const i = u.cursor.idx;
      if (i == null || shown.values[i] == null) {
        if (caption.textContent !== shown.summary) caption.textContent = shown.summary;
        return;
      }
      caption.setAttribute("aria-live", "off");
      const at = new Date(shown.times[i] * 1000).toISOString();
      caption.textContent = `${shown.title}: ${shown.values[i].toFixed(Math.min(shown.decimals, 2))} ${shown.unit} at ${at.slice(11, 16)} on ${at.slice(0, 10)} (UTC)`;
    }

    section.addEventListener("change", () => { caption.setAttribute("aria-live", "polite"); load(); });
    fits(plot, () => drawn, draw);
    load();
    setInterval(() => { if (!document.hidden) load(); }, 30000);
  }

  // Lines of daily figures, of which the reader picks one. Their data is in
  // the page.
  for (const box of $$("[data-plots]")) lines(box);

  function lines(box) {
    const plot = $(".plot", box);
    const caption = $(".plot-sum", box);
    const title = $(".axis-title", box);
    let text = "";
    let shown = null;
    let drawn = null;

    const usual = (i) => shown.low?.[i] != null && shown.high?.[i] != null;
    const outside = (i) => usual(i) && shown.values[i] != null && (shown.values[i] < shown.low[i] || shown.values[i] > shown.high[i]);
    const value = (v) => v.toLocaleString("en", { maximumFractionDigits: shown.decimals }) + (shown.unit === "%" ? "\u202f%" : shown.unit === "a day" || !shown.unit ? "" : " " + shown.unit);

    // under paints what is usual for each day, and since when it is not so.
    function under(u) {
      const { ctx } = u;
      const { left, top, width, height } = u.bbox;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, top, width, height);
      ctx.clip();
      ctx.fillStyle = color("--healthy", 0.16);
      for (let i = 0; i < shown.times.length; i++) {
        if (!usual(i)) continue;
        const from = Math.round(u.valToPos(shown.times[i] - 43200, "x", true));
        const to = Math.round(u.valToPos(shown.times[i] + 43200, "x", true));
        const high = u.valToPos(shown.high[i], "y", true);
        ctx.fillRect(from, high, to - from, Math.max(2, u.valToPos(shown.low[i], "y", true) - high));
      }
      if (shown.since) {
        const from = u.valToPos(shown.since, "x", true);
        ctx.fillStyle = color("--warn", 0.1);
        ctx.fillRect(from, top, left + width - from, height);
        ctx.fillStyle = color("--warn");
        ctx.fillRect(from, top, 2 * devicePixelRatio, height);
      }
      ctx.restore();
    }

    // over marks the days that lie outside with a ring.
    function over(u) {
      const { ctx } = u;
      ctx.save();
      ctx.strokeStyle = color("--warn");
      ctx.lineWidth = 2 * devicePixelRatio;
      for (let i = 0; i < shown.times.length; i++) {
        if (!outside(i)) continue;
        ctx.beginPath();
        ctx.arc(u.valToPos(shown.times[i], "x", true), u.valToPos(shown.values[i], "y", true), 5 * devicePixelRatio, 0, 2 * Math.PI);
        ctx.stroke();
      }
      ctx.restore();
    }

    function draw() {
      if (drawn) drawn.destroy();
      drawn = null;
      plot.replaceChildren();
      if (!shown) return;
      title.textContent = shown.title + (shown.unit ? (shown.unit === "a day" ? " each day" : ", in " + shown.unit) : "");
      caption.textContent = shown.summary;
      const least = (list, low) => (list || []).reduce((x, y) => (y == null ? x : Math.min(x, y)), low);
      const most = (list, high) => (list || []).reduce((x, y) => (y == null ? x : Math.max(x, y)), high);
      drawn = new uPlot({
        ...frame(plot, shown.decimals),
        scales: {
          x: { range: (u, from, to) => [from - 43200, to + 43200] },
          y: { range: (u, low, high) => {
            if (low == null) return [0, 1];
            low = shown.zero ? 0 : least(shown.low, low);
            high = most(shown.high, high);
            const room = (high - low || Math.abs(high) || 1) * 0.08;
            return [shown.zero ? 0 : low - room, high + room];
          } },
        },
        series: [{}, { stroke: color("--ink"), width: 1.6, spanGaps: false, points: { show: true, size: 5, fill: color("--ink") } }],
        hooks: { drawClear: [under], draw: [over], setCursor: [hover] },
      }, [shown.times, shown.values], plot);
    }

    function hover(u) {
      const i = u.cursor.idx;
      if (i == null || shown.values[i] == null) {
        if (caption.textContent !== shown.summary) caption.textContent = shown.summary;
        return;
      }
      caption.setAttribute("aria-live", "off");
      const day = new Date(shown.times[i] * 1000).toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
      caption.textContent = `${shown.title} on ${day}: ${value(shown.values[i])}` +
        (usual(i) ? `; usual is ${value(shown.low[i])} to ${value(shown.high[i])}` : "");
    }

    function look() {
      const picked = $("input[name=plot]:checked", box);
      if (!picked) return;
      shown = JSON.parse(box.dataset.plots)[Number(picked.value)] || null;
      draw();
    }

    box.addEventListener("change", () => { caption.setAttribute("aria-live", "polite"); look(); });
    addEventListener("renewed", () => {
      if (box.dataset.plots === text) return;
      text = box.dataset.plots;
      look();
    });
    fits(plot, () => drawn, draw);
    text = box.dataset.plots;
    look();
  }
})();
