"use strict";
/* Follows a column through the picture: click or search one, and its whole path lights up. Graphviz drew the picture. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const picture = document.getElementById("picture");
  const svg = picture.querySelector("svg");
  const details = document.getElementById("details");
  const input = document.querySelector("#search input");
  const list = document.querySelector("#search ul");
  const byControl = document.getElementById("control");
  const group = (id) => document.getElementById(`a_${id}`);

  const tables = new Map(data.tables.map(([id, name]) => [id, { id, name, columns: [] }]));
  const columns = new Map();
  const named = new Map();
  for (const [id, table, column] of data.columns) {
    const one = { id, table: tables.get(table), name: `${tables.get(table).name}.${column}` };
    columns.set(id, one);
    named.set(one.name, [id]);
    one.table.columns.push(id);
  }
  for (const table of tables.values()) {
    named.set(table.name, table.columns);
    group(table.id).classList.add("head");
  }

  /* An edge that ends at a whole table concerns each of its columns. */
  const into = new Map(), outOf = new Map();
  const put = (map, key, link) => (map.has(key) ? map.get(key).push(link) : map.set(key, [link]));
  for (const [id, start, end, kind, expression] of data.links) {
    for (const target of tables.has(end) ? tables.get(end).columns : [end]) {
      const link = { id, start, end: target, kind, expression };
      put(into, target, link);
      put(outOf, start, link);
    }
  }

  /* Every column on the way, once by values and once by control, nearest first. */
  function walk(starts, links, other) {
    const seen = new Set(starts.flatMap((id) => [`${id} value`, `${id} control`]));
    const steps = [], edges = new Map();
    let ahead = starts.map((id) => [id, "value"]);
    for (let depth = 1; ahead.length; depth += 1) {
      const found = [];
      for (const [id, kind] of ahead) {
        for (const link of links.get(id) || []) {
          const way = kind === "value" && link.kind === "value" ? "value" : "control";
          if (way === "value" || !edges.has(link.id)) edges.set(link.id, way);
          const state = `${link[other]} ${way}`;
          if (seen.has(state)) continue;
          seen.add(state);
          steps.push({ id: link[other], kind: way, expression: link.expression, depth });
          found.push([link[other], way]);
        }
      }
      ahead = found;
    }
    return { steps: steps.filter((step) => byControl.checked || step.kind === "value"), edges };
  }

  function choose(ids, title) {
    for (const lit of svg.querySelectorAll(".on")) lit.classList.remove("on", "by-value", "by-control", "picked");
    svg.classList.toggle("chosen", ids.length > 0);
    details.replaceChildren();
    if (!ids.length) {
      details.append(element("p", "Click a column, or a table’s name, to see what it is made of and what is made of it."));
      details.append(element("p", "Drag to move, wheel to zoom, / to search, Escape to let go."));
      return;
    }
    details.append(element("h2", title));
    const ways = [["Made of", walk(ids, into, "start")], ["Goes into", walk(ids, outOf, "end")]];
    for (const [heading, { steps, edges }] of ways) {
      for (const [id, kind] of edges) light(document.getElementById(id), kind);
      for (const step of steps) light(group(step.id), step.kind);
      section(heading, steps);
    }
    for (const id of ids) {
      light(group(id), "value");
      group(id).classList.add("picked");
    }
  }

  function light(node, kind) {
    if (node.classList.contains("by-value")) return;
    node.classList.add("on", `by-${kind}`);
    if (kind === "value") node.classList.remove("by-control");
  }

  function section(heading, steps) {
    details.append(element("h3", `${heading} (${new Set(steps.map((step) => step.id)).size})`));
    if (!steps.length) details.append(element("p", "nothing"));
    const items = element("ol");
    for (const step of steps) {
      const item = element("li");
      item.className = step.kind;
      const link = element("a", columns.get(step.id).name);
      link.href = `#${columns.get(step.id).name}`;
      item.append(link, element("code", `${step.kind}: ${step.expression}`));
      items.append(item);
    }
    details.append(items);
  }

  function element(tag, text) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /* What is chosen stands in the address, so that Back works and a place can be shared. */
  function fromAddress() {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { /* not encoded: as it is */ }
    choose(named.get(name) || [], name);
    return named.get(name) || [];
  }
  function go(name) {
    if (location.hash.slice(1) === name) fromAddress();
    else location.hash = name;
    show(named.get(name) || []);
  }
  window.addEventListener("hashchange", fromAddress);
  byControl.addEventListener("change", () => {
    svg.classList.toggle("values-only", !byControl.checked);
    fromAddress();
  });

  /* Moving and zooming change what part of the drawing the picture shows. */
  const whole = svg.viewBox.baseVal;
  const full = { x: whole.x, y: whole.y, width: whole.width, height: whole.height };
  let view;
  svg.removeAttribute("width");
  svg.removeAttribute("height");
  function look(next) {
    view = next;
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  }
  function fit() {
    const margin = 20, box = picture.getBoundingClientRect();
    const scale = Math.max((full.width + 2 * margin) / box.width, (full.height + 2 * margin) / box.height, 0.6);
    const width = box.width * scale, height = box.height * scale;
    look({ x: full.x + (full.width - width) / 2, y: full.y + (full.height - height) / 2, width, height });
  }
  function zoom(factor, x = 0.5, y = 0.5) {
    const box = picture.getBoundingClientRect();
    const width = Math.min(Math.max(view.width / factor, 60), 8 * Math.max(full.width, box.width));
    const height = (width * box.height) / box.width;
    look({ x: view.x + (view.width - width) * x, y: view.y + (view.height - height) * y, width, height });
  }
  function show(ids) {
    if (!ids.length) return;
    const cell = group(ids[0]).getBoundingClientRect(), box = picture.getBoundingClientRect();
    const scale = view.width / box.width;
    const width = Math.min(view.width, box.width * 0.9), height = (width * box.height) / box.width;
    const x = view.x + (cell.x + cell.width / 2 - box.x) * scale;
    const y = view.y + (cell.y + cell.height / 2 - box.y) * scale;
    look({ x: x - width / 2, y: y - height / 2, width, height });
  }
  picture.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = picture.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), (event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height);
  }, { passive: false });
  let drag = null;
  picture.addEventListener("pointerdown", (event) => {
    if (event.button === 0) drag = { x: event.clientX, y: event.clientY, view, moved: false };
  });
  window.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    drag.moved = drag.moved || Math.hypot(dx, dy) > 4;
    if (!drag.moved) return;
    picture.classList.add("moving");
    const scale = drag.view.width / picture.getBoundingClientRect().width;
    look({ ...drag.view, x: drag.view.x - dx * scale, y: drag.view.y - dy * scale });
  });
  window.addEventListener("pointerup", () => {
    picture.classList.remove("moving");
    setTimeout(() => { drag = null; });
  });
  picture.addEventListener("dragstart", (event) => event.preventDefault());
  picture.addEventListener("click", (event) => {
    const anchor = event.target.closest("a");
    if (drag && drag.moved) event.preventDefault();
    else if (!anchor) go("");
    else {
      event.preventDefault();
      location.hash = anchor.getAttribute("xlink:href") || anchor.getAttribute("href");
    }
  }, true);
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => (button.dataset.zoom === "fit" ? fit() : zoom(Number(button.dataset.zoom))));
  }

  /* Search: every word must occur in the name. */
  const most = 50;
  let found = [], picked = 0;
  function search() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const names = words.length ? [...named.keys()].filter((name) => words.every((word) => name.toLowerCase().includes(word))) : [];
    found = names.sort((a, b) => a.length - b.length || (a < b ? -1 : 1)).slice(0, most);
    picked = 0;
    list.replaceChildren(...found.map((name) => {
      const item = element("li", name);
      item.setAttribute("role", "option");
      item.addEventListener("pointerdown", (event) => { event.preventDefault(); take(name); });
      return item;
    }));
    if (words.length && !found.length) list.append(element("li", "no such column"));
    list.hidden = !words.length;
    mark();
  }
  function mark() {
    [...list.children].forEach((item, number) => item.setAttribute("aria-selected", String(number === picked && found.length > 0)));
    if (list.children[picked]) list.children[picked].scrollIntoView({ block: "nearest" });
  }
  function take(name) {
    list.hidden = true;
    input.blur();
    go(name);
  }
  input.addEventListener("input", search);
  input.addEventListener("focus", search);
  input.addEventListener("blur", () => { list.hidden = true; });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      picked = Math.min(Math.max(picked + (event.key === "ArrowDown" ? 1 : -1), 0), Math.max(found.length - 1, 0));
      mark();
    } else if (event.key === "Enter" && found[picked]) take(found[picked]);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== input) {
      event.preventDefault();
      input.select();
    } else if (event.key === "Escape") {
      input.blur();
      go("");
    } else if (document.activeElement !== input && ["+", "-", "0"].includes(event.key)) {
      if (event.key === "0") fit();
      else zoom(event.key === "+" ? 1.25 : 0.8);
    }
  });
  window.addEventListener("resize", () => zoom(1));

  fit();
  let chosen = fromAddress();
  if (!chosen.length && data.focus.length) {
    const first = columns.get(data.focus[0]);
    history.replaceState(null, "", `#${data.focus.length === 1 ? first.name : first.table.name}`);
    chosen = fromAddress();
  }
  /* Too much to be read at once: begin where the question was. */
  if (view.width > 1.8 * picture.getBoundingClientRect().width) show(chosen);
})();
