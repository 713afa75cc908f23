"use strict";
/* The page of lineage: a map of tables, which Graphviz drew, and on a click the path of a column through them.
   What is shown is in the address: nothing, #table, #table.* (with its columns), #table.column. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const map = find("map"), paths = find("paths"), details = find("details"), small = find("small"), byControl = find("control");
  const svg = map.querySelector("svg");
  const input = document.querySelector("#tables input"), list = document.querySelector("#tables ul"), count = find("count");
  const KINDS = ["rows", "control", "value"];

  const tables = data.tables.map(([name, isSource, columns], number) => (
    { number, name, isSource: Boolean(isSource), columns: columns.map((column) => ({ name: column })), into: [], outOf: [] }));
  const named = new Map();
  for (const table of tables) {
    table.columns.forEach((column) => Object.assign(column, { table, full: `${table.name}.${column.name}`, into: [], outOf: [] }));
    table.columns.forEach((column) => named.set(column.full, { column }));
    if (!named.has(`${table.name}.*`)) named.set(`${table.name}.*`, { columnsOf: table });
  }
  for (const table of tables) named.set(table.name, { table });
  data.pairs.forEach(([start, end, kind], number) => {
    const pair = { number, start: tables[start], end: tables[end], kind: KINDS[kind] };
    pair.start.outOf.push(pair);
    pair.end.into.push(pair);
  });
  /* A link that ends at a whole table concerns each of its columns. */
  for (const [from, column, to, target, kind, expression] of data.links) {
    const start = tables[from].columns[column];
    for (const end of target < 0 ? tables[to].columns : [tables[to].columns[target]]) {
      const link = { start, end, whole: target < 0, kind: KINDS[kind], expression: data.expressions[expression] };
      end.into.push(link);
      start.outOf.push(link);
    }
  }

  function element(tag, text, name) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  }
  const plural = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const address = (name) => `#${encodeURIComponent(name)}`;
  function anchor(name, text = name) {
    const made = element("a", text);
    made.href = address(name);
    return made;
  }

  /* The map. */
  const nodes = tables.map(({ number, name, isSource, columns }) => {
    const node = find(`n${number}`);
    node.querySelector("title").textContent = name;
    node.setAttribute("role", "link");
    node.setAttribute("aria-label", `${isSource ? "source" : "product"} ${name}, ${plural(columns.length, "column")}`);
    const box = node.getBBox();
    return { node, x: box.x, y: box.y, width: box.width, height: box.height };
  });
  const lines = data.pairs.map((_, number) => find(`e${number}`));
  for (const line of lines) line.querySelector("title").remove();
  const shift = svg.querySelector("g").transform.baseVal.consolidate().matrix;
  const whole = svg.viewBox.baseVal;
  const full = { x: whole.x, y: whole.y, width: whole.width, height: whole.height };
  const margin = 16, legible = 0.7;
  let view = full, fitted = false;
  svg.removeAttribute("width");
  svg.removeAttribute("height");

  function look(next) {
    view = next;
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
    outline();
  }
  function size() {
    const box = map.getBoundingClientRect();
    return { x: box.x, y: box.y, width: Math.max(box.width, 50), height: Math.max(box.height, 50) };
  }
  /* least: pixels of one unit of the drawing, below which its text cannot be read; then its beginning is shown. */
  function fit(least = 0) {
    const box = size(), wide = full.width + 2 * margin, high = full.height + 2 * margin;
    const pixels = Math.min(Math.max(Math.min(box.width / wide, box.height / high), least), 1.4);
    const width = box.width / pixels, height = box.height / pixels;
    const x = width < wide ? full.x - margin : full.x + (full.width - width) / 2;
    const y = height < high ? full.y - margin : full.y + (full.height - height) / 2;
    look({ x, y, width, height });
  }
  function zoom(factor, x = 0.5, y = 0.5) {
    const box = size();
    const width = Math.min(Math.max(view.width / factor, 60), 4 * Math.max(full.width, full.height, box.width));
    const height = (width * box.height) / box.width;
    look({ x: view.x + (view.width - width) * x, y: view.y + (view.height - height) * y, width, height });
  }
  function move(x, y) {
    look({ ...view, x: view.x + x * view.width, y: view.y + y * view.height });
  }
  /* Show a table in the middle; with all that is lit, where that can be read. */
  function centre(table) {
    const box = size(), node = nodes[table.number], lit = nodes.filter((one) => one.node.classList.contains("on"));
    const left = Math.min(...lit.map((one) => one.x)) - margin, right = Math.max(...lit.map((one) => one.x + one.width)) + margin;
    const top = Math.min(...lit.map((one) => one.y)) - margin, bottom = Math.max(...lit.map((one) => one.y + one.height)) + margin;
    const pixels = Math.min(box.width / (right - left), box.height / (bottom - top), 1.2);
    const all = pixels >= legible, scale = all ? pixels : 1;
    const width = box.width / scale, height = box.height / scale;
    const x = all ? (left + right) / 2 : node.x + node.width / 2, y = all ? (top + bottom) / 2 : node.y + node.height / 2;
    look({ x: x + shift.e - width / 2, y: y + shift.f - height / 2, width, height });
  }

  /* A small map, where the whole cannot be read at once: a spot for each table, and what is seen of it. */
  function outline() {
    const part = view.x > full.x || view.y > full.y || view.x + view.width < full.x + full.width || view.y + view.height < full.y + full.height;
    small.hidden = !part;
    if (!part) return;
    const context = small.getContext("2d"), style = getComputedStyle(document.documentElement);
    const sx = small.width / full.width, sy = small.height / full.height;
    context.clearRect(0, 0, small.width, small.height);
    for (const [number, { node, x, y, width, height }] of nodes.entries()) {
      const lit = node.classList.contains("on") ? "--value" : tables[number].isSource ? "--source-line" : "--line";
      context.fillStyle = style.getPropertyValue(lit);
      context.fillRect((x + shift.e - full.x) * sx, (y + shift.f - full.y) * sy, Math.max(width * sx, 2), Math.max(height * sy, 1));
    }
    context.strokeStyle = style.getPropertyValue("--ink");
    context.lineWidth = 2;
    context.strokeRect((view.x - full.x) * sx, (view.y - full.y) * sy, view.width * sx, Math.max(view.height * sy, 4));
  }
  small.addEventListener("click", (event) => {
    event.stopPropagation();
    const x = full.x + (event.offsetX / small.width) * full.width, y = full.y + (event.offsetY / small.height) * full.height;
    look({ ...view, x: x - view.width / 2, y: y - view.height / 2 });
  });

  /* Which tables a table is made of, or which are made of it, through whichever lines are shown. */
  function relatives(table, way, other) {
    const seen = new Set([table]), over = new Set(), ahead = [table];
    while (ahead.length) {
      for (const pair of ahead.pop()[way]) {
        if (!byControl.checked && pair.kind !== "value") continue;
        over.add(pair.number);
        if (!seen.has(pair[other])) {
          seen.add(pair[other]);
          ahead.push(pair[other]);
        }
      }
    }
    seen.delete(table);
    return { seen, over };
  }
  function light(table) {
    for (const lit of svg.querySelectorAll(".on, .picked")) lit.classList.remove("on", "picked");
    svg.classList.toggle("chosen", Boolean(table));
    if (!table) return;
    for (const { seen, over } of [relatives(table, "into", "start"), relatives(table, "outOf", "end")]) {
      for (const one of seen) nodes[one.number].node.classList.add("on");
      for (const number of over) lines[number].classList.add("on");
    }
    nodes[table.number].node.classList.add("on", "picked");
  }

  /* Every column on the way, once by values and once by control, nearest first; and the links that lead there. */
  function walk(starts, way, other, depth) {
    const seen = new Map(starts.map((column) => [column, new Set(KINDS)]));
    const steps = [], links = new Map();
    let ahead = starts.map((column) => [column, "value"]);
    for (let round = 0; ahead.length && round < depth; round += 1) {
      const found = [];
      for (const [column, kind] of ahead) {
        for (const link of column[way]) {
          const reached = kind === "value" && link.kind === "value" ? "value" : "control";
          if (reached !== "value" && !byControl.checked) continue;
          if (reached === "value" || !links.has(link)) links.set(link, reached);
          const next = link[other];
          if (!seen.has(next)) seen.set(next, new Set());
          if (seen.get(next).has(reached)) continue;
          seen.get(next).add(reached);
          steps.push({ column: next, kind: reached, expression: link.expression });
          found.push([next, reached]);
        }
      }
      ahead = found;
    }
    return { steps, links };
  }

  /* The paths: a box for each table, from left to right and from top to bottom as in the map; where only neighbours of a
     table are shown, it stands between what it reads and its readers. */
  function draw(starts, up, down, neighbours) {
    const kinds = new Map();
    for (const { column, kind } of [...up.steps, ...down.steps]) if (kinds.get(column) !== "value") kinds.set(column, kind);
    for (const column of starts) kinds.set(column, "picked");
    const ranks = new Map();
    const shown = tables.filter((table) => table.columns.some((column) => kinds.has(column)));
    for (const table of shown) {
      const { x, y, width } = nodes[table.number];
      const side = table === starts[0].table ? 1 : starts[0].table.into.some((pair) => pair.start === table) ? 0 : 2;
      const at = neighbours ? side : Math.round(x + width / 2);
      if (!ranks.has(at)) ranks.set(at, []);
      ranks.get(at).push([y, table]);
    }
    const cells = new Map(), board = element("div", undefined, "ranks");
    for (const at of [...ranks.keys()].sort((a, b) => a - b)) {
      const rank = element("div", undefined, "rank");
      for (const [, table] of ranks.get(at).sort((a, b) => a[0] - b[0])) {
        const box = element("section", undefined, `box${table.isSource ? " source" : ""}`);
        const head = element("h3"), items = element("ul");
        head.append(anchor(table.name));
        for (const column of table.columns.filter((one) => kinds.has(one))) {
          const item = element("li", undefined, kinds.get(column));
          item.append(anchor(column.full, column.name));
          items.append(item);
          cells.set(column, item);
        }
        cells.set(table, head);
        box.append(head, items);
        rank.append(box);
      }
      board.append(rank);
    }
    const over = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    board.prepend(over);
    paths.replaceChildren(board);
    const origin = board.getBoundingClientRect(), drawn = new Set();
    const side = (cell, right) => {
      const box = cell.closest(".box").getBoundingClientRect(), row = cell.getBoundingClientRect();
      return [(right ? box.right : box.left) - origin.x, row.y + row.height / 2 - origin.y];
    };
    for (const [link, kind] of [...up.links, ...down.links].sort((a, b) => (a[1] > b[1] ? 1 : -1))) {
      const end = link.whole && starts.length > 1 ? cells.get(link.end.table) : cells.get(link.end);
      const [x, y] = side(cells.get(link.start), true), [toX, toY] = side(end, false);
      const bend = Math.max((toX - x) / 2, 30);
      const shape = `M${x} ${y}C${x + bend} ${y} ${toX - bend} ${toY} ${toX} ${toY}`;
      if (drawn.has(shape + kind)) continue;
      drawn.add(shape + kind);
      const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
      line.setAttribute("d", shape);
      line.setAttribute("class", kind);
      over.append(line);
    }
    const first = cells.get(starts[0]);
    if (first) first.scrollIntoView({ block: "center", inline: "center" });
  }

  /* The details at the right. */
  function section(title, items) {
    details.append(element("h3", `${title} (${items.length})`));
    if (!items.length) details.append(element("p", "nothing"));
    const made = element("ul");
    made.append(...items);
    details.append(made);
  }
  function item(kind, name, text, ...more) {
    const made = element("li", undefined, kind);
    made.append(anchor(name, text), ...more);
    return made;
  }
  const stepItem = ({ column, kind, expression }) => item(kind, column.full, column.full, element("code", `${kind}: ${expression}`));
  function describe(table, column) {
    details.replaceChildren();
    if (!table) {
      details.append(element("h2", "Tables"));
      const sources = tables.filter((one) => one.isSource).length;
      details.append(element("p", `${plural(sources, "source")} and ${plural(tables.length - sources, "product")}.`));
      details.append(element("p", "Click a table to see what it is made of and what is made of it, then a column to follow it."));
      details.append(element("p", "Drag or arrow keys to move, wheel or + and − to zoom, 0 for all, / to search, Escape to let go."));
      return;
    }
    details.append(element("h2", column ? column.full : table.name), element("p", table.isSource ? "source" : "product"));
    if (column) {
      const back = element("p");
      back.append(anchor(table.name, "show the table in the map"));
      details.append(back);
      section("Made of", walk([column], "into", "start", Infinity).steps.map(stepItem));
      section("Goes into", walk([column], "outOf", "end", Infinity).steps.map(stepItem));
      return;
    }
    const all = element("p");
    all.append(anchor(`${table.name}.*`, "show its columns between its neighbours"));
    details.append(all);
    const shown = (pairs) => pairs.filter((pair) => byControl.checked || pair.kind === "value");
    section("Made of", shown(table.into).map((pair) => item(pair.kind, pair.start.name)));
    section("Goes into", shown(table.outOf).map((pair) => item(pair.kind, pair.end.name)));
    section("Columns", table.columns.map((one) => item("", one.full, one.name)));
  }

  function fromAddress() {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { /* not encoded: as it is */ }
    const { table, column, columnsOf } = named.get(name) || {};
    const about = table || columnsOf || (column && column.table);
    const starts = column ? [column] : columnsOf ? columnsOf.columns : [];
    map.hidden = starts.length > 0;
    paths.hidden = !map.hidden;
    find("zoom").hidden = map.hidden;
    find("where").textContent = about ? name : "all tables";
    light(about);
    describe(about, column);
    if (starts.length) draw(starts, walk(starts, "into", "start", column ? Infinity : 1), walk(starts, "outOf", "end", column ? Infinity : 1), !column);
    else {
      if (!fitted) fit(legible);
      fitted = true;
      if (about) centre(about);
      else outline();
    }
    for (const current of list.querySelectorAll("[aria-current]")) current.removeAttribute("aria-current");
    const entry = about && [...list.children].find((one) => one.firstChild.dataset.name === about.name);
    if (entry) {
      entry.firstChild.setAttribute("aria-current", "true");
      entry.scrollIntoView({ block: "nearest" });
    }
  }
  function go(name) {
    if (decodeURIComponent(location.hash.slice(1)) === name) fromAddress();
    else location.hash = name ? address(name) : "";
  }
  window.addEventListener("hashchange", fromAddress);
  window.addEventListener("resize", () => (paths.hidden ? zoom(1) : fromAddress()));
  byControl.addEventListener("change", () => {
    svg.classList.toggle("values-only", !byControl.checked);
    const before = view;
    fromAddress();
    if (!map.hidden) look(before);
  });

  map.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = size();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), (event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height);
  }, { passive: false });
  let drag = null;
  map.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.target !== small && !event.target.closest(".node")) drag = { x: event.clientX, y: event.clientY, view, moved: false };
  });
  window.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    drag.moved = drag.moved || Math.hypot(dx, dy) > 4;
    if (!drag.moved) return;
    map.classList.add("moving");
    const scale = drag.view.width / size().width;
    look({ ...drag.view, x: drag.view.x - dx * scale, y: drag.view.y - dy * scale });
  });
  window.addEventListener("pointerup", () => {
    map.classList.remove("moving");
    setTimeout(() => { drag = null; });
  });
  map.addEventListener("click", (event) => {
    const node = event.target.closest(".node");
    if ((drag && drag.moved) || (node && String(getSelection()))) return; // a drag, or a name that was selected to be copied
    go(node ? tables[Number(node.id.slice(1))].name : "");
  });
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => (button.dataset.zoom === "fit" ? fit() : zoom(Number(button.dataset.zoom))));
  }

  /* The list: tables, and once something is typed columns too; every word must occur in the name. */
  const most = 200;
  const byName = [...tables].sort((a, b) => a.isSource < b.isSource ? 1 : a.isSource > b.isSource ? -1 : a.name < b.name ? -1 : 1);
  function entry(name, isSource) {
    const made = element("li", undefined, isSource ? "source" : "");
    const link = anchor(name);
    link.dataset.name = name;
    made.append(link);
    return made;
  }
  function search() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (name) => words.every((word) => name.toLowerCase().includes(word));
    const found = byName.filter((table) => fits(table.name));
    const columns = words.length ? tables.flatMap((table) => table.columns).filter((column) => fits(column.full)) : [];
    list.replaceChildren(
      ...found.map((table) => entry(table.name, table.isSource)),
      ...columns.slice(0, most).map((column) => entry(column.full, column.table.isSource)));
    const more = words.length ? `, ${plural(columns.length, "column")}${columns.length > most ? ` (the first ${most})` : ""}` : "";
    count.textContent = `${plural(found.length, "table")}${more}`;
  }
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && list.firstChild) go(list.firstChild.firstChild.dataset.name);
    if (event.key === "ArrowDown" && list.firstChild) {
      event.preventDefault();
      list.firstChild.firstChild.focus();
    }
  });
  list.addEventListener("keydown", (event) => {
    const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!way) return;
    event.preventDefault();
    const next = document.activeElement.parentElement[way];
    (next ? next.firstChild : event.key === "ArrowUp" ? input : document.activeElement).focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      if (document.activeElement === input && input.value) {
        input.value = "";
        search();
      } else go("");
      return;
    }
    if (event.target === input) return;
    const keys = {
      "/": () => input.focus(), "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: () => fit(),
    };
    const arrows = { ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowUp: [0, -0.2], ArrowDown: [0, 0.2] };
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    } else if (arrows[event.key] && event.target === map) {
      event.preventDefault();
      move(...arrows[event.key]);
    }
  });

  search();
  if (!location.hash && data.focus) history.replaceState(null, "", address(data.focus));
  fromAddress();
})();
