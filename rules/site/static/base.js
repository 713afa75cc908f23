/* Shared by all views: data that arrives as scripts, elements, numbers and times as people read them, the address. */
"use strict";
const site = (() => {
  const arrived = new Map();
  const waiting = new Map();
  const views = {};

  /* Data files call this. */
  function receive(name, document) {
    arrived.set(name, document);
    if (name === "index") start(document);
    for (const done of waiting.get(name) || []) done(document);
    waiting.delete(name);
  }
  function load(name, path) {
    if (arrived.has(name)) return Promise.resolve(arrived.get(name));
    return new Promise((done, fail) => {
      if (waiting.has(name)) return void waiting.get(name).push(done);
      waiting.set(name, [done]);
      const script = document.createElement("script");
      script.src = path;
      script.onerror = () => { waiting.delete(name); fail(new Error(`${path} cannot be loaded`)); };
      document.head.append(script);
    });
  }

  /* h("a", { href, class, on: {…}, data: {…} }, children…): text is always text, never markup. */
  const NS = "http://www.w3.org/2000/svg";
  function fill(node, options, children) {
    for (const [key, value] of Object.entries(options || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (key === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
      else if (key === "data") Object.assign(node.dataset, value);
      else node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
    return node;
  }
  const h = (tag, options, ...children) => fill(document.createElement(tag), options, children);
  const s = (tag, options, ...children) => fill(document.createElementNS(NS, tag), options, children);

  const whole = new Intl.NumberFormat("en");
  const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));
  const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
  function seconds(value) {
    if (value === null || value === undefined) return "–";
    if (value < 0.0995) return `${(value * 1000).toFixed(value < 0.00995 ? 1 : 0)} ms`;
    if (value < 99.5) return `${value.toFixed(value < 9.95 ? 2 : 1)} s`;
    return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  }
  function bytes(value) {
    if (value === null || value === undefined) return "–";
    const units = ["B", "kB", "MB", "GB", "TB"];
    let at = 0;
    while (value >= 1000 && at < units.length - 1) { value /= 1000; at += 1; }
    return `${at ? value.toFixed(value < 10 ? 1 : 0) : value} ${units[at]}`;
  }
  function moment(text) {
    const time = new Date(text);
    return Number.isNaN(time.getTime()) ? text : time.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  }

  /* The address: #/kind/name/more, each part escaped. */
  const link = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;
  function place() {
    return location.hash.replace(/^#\/?/, "").split("/").map((one) => {
      try { return decodeURIComponent(one); } catch { return one; }
    });
  }

  const api = { receive, load, views, h, s, count, plural, seconds, bytes, moment, link, place, tables: [], byName: new Map() };

  const TABS = [["", "Overview"], ["graph", "Graph"], ["rules", "Rules"], ["checks", "Checks"], ["builds", "Builds"]];
  let shown = 0;
  async function show() {
    const [kind, ...rest] = place();
    const turn = (shown += 1);
    const view = document.getElementById("view");
    closeMenus();
    let made;
    try {
      made = await (views[kind] || views.missing)(...rest);
    } catch (error) {
      made = { title: "Not loaded", body: [h("h1", {}, "This cannot be shown"), h("p", { class: "faint" }, String(error.message))] };
    }
    if (turn !== shown) return; // another address has been asked for meanwhile
    view.className = made.class || "";
    view.replaceChildren(...made.body.flat(Infinity).filter(Boolean));
    document.title = made.title ? `${made.title} · ${api.index.project}` : api.index.project;
    const tab = { rule: "rules", source: "rules", build: "builds" }[kind] || kind;
    for (const one of document.querySelectorAll("#tabs a")) one.toggleAttribute("aria-current", one.dataset.kind === tab);
    for (const one of document.querySelectorAll("#side a")) {
      const current = one.getAttribute("href") === link(kind, rest[0] || "");
      one.toggleAttribute("aria-current", current);
      if (current) one.closest("details").open = true;
    }
    if (made.after) made.after();
    else window.scrollTo(0, 0);
    document.documentElement.dataset.ready = location.hash || "#/";
  }

  function closeMenus() {
    document.body.classList.remove("open");
    document.getElementById("menu").setAttribute("aria-expanded", "false");
    document.getElementById("found").hidden = true;
  }

  function start(index) {
    api.index = index;
    api.tables = index.tables;
    index.tables.forEach((one, number) => { one.number = number; one.readers = []; api.byName.set(one.name, one); });
    index.tables.forEach((one) => one.inputs.forEach((entry) => index.tables[entry].readers.push(one.number)));
    document.getElementById("home").textContent = index.project;
    document.getElementById("tabs").append(...TABS.map(([kind, text]) => h("a", { href: link(kind), data: { kind } }, text)));
    document.getElementById("side").append(...side());
    const menu = document.getElementById("menu");
    menu.addEventListener("click", () => menu.setAttribute("aria-expanded", document.body.classList.toggle("open")));
    theme();
    search();
    window.addEventListener("hashchange", show);
    show();
  }

  /* The tables at the side, by folder. A folder's entries are made when it is opened. */
  function side() {
    const folders = new Map();
    for (const one of api.tables) {
      const folder = one.kind === "source" ? "sources" : one.folder || "rules";
      if (!folders.has(folder)) folders.set(folder, []);
      folders.get(folder).push(one);
    }
    const few = api.tables.length <= 150;
    return [...folders].sort(([a], [b]) => (a === "sources") - (b === "sources") || (a < b ? -1 : 1)).map(([folder, found]) =>
      h("details", { open: few },
        h("summary", {}, folder, h("small", {}, count(found.length))),
        h("ul", {}, [...found].sort((a, b) => (a.name < b.name ? -1 : 1)).map((one) => h("li", {}, anchor(one))))));
  }
  const trouble = (one) => one.status === "failed" || one.status === "broken" || one.checks[1] > 0;
  function anchor(one, ...more) {
    const kind = one.kind === "source" ? "source" : "rule";
    return h("a", { href: link(kind, one.name, ...more), class: `table ${kind}${trouble(one) ? " bad" : ""}` }, more.length ? `${one.name}.${more[0]}` : one.name);
  }
  Object.assign(api, { anchor, trouble });

  function theme() {
    const root = document.documentElement;
    const kept = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
    document.getElementById("theme").addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try { localStorage.setItem("theme", root.dataset.theme); } catch { /* a browser that keeps nothing */ }
    });
  }

  /* Search: every word must occur; names count more than columns, columns more than what is said of a table. */
  function matches(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const scored = [];
    for (const one of api.tables) {
      const name = one.name.toLowerCase(), about = `${one.description} ${one.tags.join(" ")} ${one.folder}`.toLowerCase();
      const has = (where) => words.every((word) => where.includes(word));
      if (has(name)) scored.push([name === words[0] ? 0 : name.startsWith(words[0]) ? 1 : 2, one, null]);
      else if (has(`${name} ${about}`)) scored.push([4, one, null]);
      for (const column of one.columns) {
        const lower = column.toLowerCase();
        if (words.some((word) => lower.includes(word)) && has(`${name}.${lower}`)) scored.push([lower === words[0] ? 2.5 : 3, one, column]);
      }
    }
    return scored.sort((a, b) => a[0] - b[0] || (a[1].name < b[1].name ? -1 : a[1].name > b[1].name ? 1 : 0)).slice(0, 40);
  }
  function search() {
    const query = document.getElementById("query"), found = document.getElementById("found");
    query.addEventListener("input", () => {
      const list = matches(query.value);
      found.hidden = !query.value.trim();
      found.replaceChildren(...(list.length ? list.map(([, one, column]) => {
        const made = column === null ? anchor(one) : anchor(one, column);
        if (column === null && one.description) made.append(h("small", {}, one.description));
        return h("li", {}, made);
      }) : [h("li", { class: "faint" }, "nothing is called so")]));
    });
    const entries = () => [...found.querySelectorAll("a")];
    query.addEventListener("keydown", (event) => {
      const first = entries()[0];
      if (event.key === "Enter" && first) { location.hash = first.hash; leave(); }
      if (event.key === "ArrowDown" && first) { event.preventDefault(); first.focus(); }
    });
    found.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const all = entries(), next = all[all.indexOf(document.activeElement) + step];
      (next || (step < 0 ? query : document.activeElement)).focus();
    });
    found.addEventListener("click", leave);
    function leave() { query.value = ""; query.blur(); found.hidden = true; }
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { leave(); closeMenus(); }
      if (event.key === "/" && !event.ctrlKey && !event.metaKey && document.activeElement !== query) { event.preventDefault(); query.focus(); }
    });
    document.addEventListener("click", (event) => {
      if (!event.target.closest("#find")) found.hidden = true;
      if (!event.target.closest("#side, #menu")) document.body.classList.remove("open");
    });
  }
  return api;
})();
