/* The graph: tables in layers as Graphviz laid them out, to be moved, zoomed, and followed from one table. */
"use strict";
site.views.graph = async (focus) => {
  const { h, s } = site;
  const laid = await site.load("graph", "data/graph.js");
  const [width, height] = laid.size;
  const chosen = focus ? site.byName.get(focus) : null;

  function reach(start, next) {
    const seen = new Set(), ahead = [...next(start)];
    while (ahead.length) {
      const one = ahead.pop();
      if (!seen.has(one)) { seen.add(one); ahead.push(...next(one)); }
    }
    return seen;
  }
  const up = chosen ? reach(chosen.number, (one) => site.tables[one].inputs) : new Set();
  const down = chosen ? reach(chosen.number, (one) => site.tables[one].readers) : new Set();
  const lit = (one) => !chosen || one === chosen.number || up.has(one) || down.has(one);

  const curves = laid.curves.map(([from, to, x, y, ...rest]) => {
    const onPath = chosen && lit(from) && lit(to) && !(up.has(from) && down.has(to));
    return s("path", { d: `M${x} ${y}C${rest.join(" ")}`, class: `curve${chosen ? (onPath ? " on" : " off") : ""}` });
  });
  const boxes = laid.boxes.map(([x, y, w, hgt], number) => {
    const table = site.tables[number], bad = site.trouble(table);
    const longest = Math.max(8, Math.floor((w - 30) / 7.2));
    const name = table.name.length > longest ? `${table.name.slice(0, longest - 1)}…` : table.name;
    return s("g", {
      class: `box ${table.kind === "source" ? "source" : "rule"}${bad ? " bad" : ""}${lit(number) ? "" : " off"}${chosen && number === chosen.number ? " chosen" : ""}`,
      data: { number }, transform: `translate(${x} ${y})`,
    }, s("title", {}, table.description ? `${table.name}: ${table.description}` : table.name),
    s("rect", { width: w, height: hgt, rx: 7 }), s("circle", { cx: 13, cy: hgt / 2, r: 4 }), s("text", { x: 24, y: hgt / 2 + 4.5 }, name));
  });
  const picture = s("svg", { role: "img", "aria-label": `Graph of ${site.plural(site.tables.length, "table")}` },
    s("g", {}, curves), s("g", {}, boxes));
  const map = h("div", { id: "map", tabindex: "0", role: "group", "aria-label": "Graph: drag to move, wheel or pinch to zoom" }, picture);

  let view = { x: 0, y: 0, width, height };
  const size = () => ({ width: map.clientWidth || 800, height: map.clientHeight || 600 });
  function look(next) {
    view = next;
    picture.setAttribute("viewBox", [view.x, view.y, view.width, view.height].map((one) => one.toFixed(1)).join(" "));
  }
  function fit(numbers, least) {
    const all = numbers.map((one) => laid.boxes[one]);
    if (!all.length) return;
    const left = Math.min(...all.map((b) => b[0])) - 24, top = Math.min(...all.map((b) => b[1])) - 24;
    const right = Math.max(...all.map((b) => b[0] + b[2])) + 24, bottom = Math.max(...all.map((b) => b[1] + b[3])) + 24;
    const box = size();
    const scale = Math.max((right - left) / box.width, (bottom - top) / box.height, least);
    const w = box.width * scale, hgt = box.height * scale;
    look({ x: (left + right - w) / 2, y: (top + bottom - hgt) / 2, width: w, height: hgt });
  }
  const everything = () => fit(site.tables.map((one) => one.number), 0.8);
  function centre(number, scale = 1) { // as much around it as can be read
    const [x, y, w, hgt] = laid.boxes[number], width = size().width * scale, height = size().height * scale;
    look({ x: x + w / 2 - width / 2, y: y + hgt / 2 - height / 2, width, height });
  }
  function zoom(factor, at) {
    const box = size();
    const x = at ? (at.x / box.width) * view.width + view.x : view.x + view.width / 2;
    const y = at ? (at.y / box.height) * view.height + view.y : view.y + view.height / 2;
    const scale = Math.min(Math.max(view.width / factor / box.width, 0.2), 60) * box.width / view.width;
    look({ x: x - (x - view.x) * scale, y: y - (y - view.y) * scale, width: view.width * scale, height: view.height * scale });
  }
  const shift = (dx, dy) => look({ ...view, x: view.x + dx * view.width, y: view.y + dy * view.height });

  const fingers = new Map();
  let moved = false;
  const within = (event) => { const box = map.getBoundingClientRect(); return { x: event.clientX - box.x, y: event.clientY - box.y }; };
  map.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), within(event)); }, { passive: false });
  map.addEventListener("pointerdown", (event) => { if (!fingers.size) moved = false; fingers.set(event.pointerId, within(event)); });
  map.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = within(event), scale = view.width / size().width;
    if (!moved && Math.hypot(now.x - before.x, now.y - before.y) < 5) return;
    if (!moved && map.setPointerCapture) try { map.setPointerCapture(event.pointerId); } catch { /* it is up already */ }
    moved = true;
    if (fingers.size === 1) look({ ...view, x: view.x - (now.x - before.x) * scale, y: view.y - (now.y - before.y) * scale });
    else {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const far = Math.hypot(now.x - other.x, now.y - other.y), was = Math.hypot(before.x - other.x, before.y - other.y);
      if (was > 0) zoom(far / was, { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    }
    fingers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) map.addEventListener(end, (event) => fingers.delete(event.pointerId));
  map.addEventListener("click", (event) => {
    if (moved) return;
    const box = event.target.closest(".box");
    const table = box && site.tables[Number(box.dataset.number)];
    if (table && chosen && table === chosen) location.hash = site.anchor(table).hash;
    else location.hash = table ? site.link("graph", table.name) : site.link("graph");
  });
  map.addEventListener("keydown", (event) => {
    const act = { "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: everything, Escape: () => { location.hash = site.link("graph"); },
      ArrowLeft: () => shift(-0.15, 0), ArrowRight: () => shift(0.15, 0), ArrowUp: () => shift(0, -0.15), ArrowDown: () => shift(0, 0.15) }[event.key];
    if (act && !event.ctrlKey && !event.metaKey) { event.preventDefault(); act(); }
  });
  const button = (text, label, act) => h("button", { type: "button", "aria-label": label, title: label, on: { click: act } }, text);
  const panel = chosen
    ? h("div", { id: "picked" }, h("strong", {}, site.anchor(chosen)),
      h("p", {}, chosen.description || (chosen.kind === "source" ? "a source" : "a rule")),
      h("p", { class: "faint" }, `${site.plural(up.size, "table")} above, ${down.size} below`,
        chosen.rows === null || chosen.rows === undefined ? "" : `, ${site.plural(chosen.rows, "row")}`),
      h("p", {}, h("a", { href: site.anchor(chosen).hash }, "open"), " · ", h("a", { href: site.link("graph") }, "let go")))
    : null;
  const bar = h("div", { id: "zoom" }, button("+", "zoom in", () => zoom(1.25)), button("−", "zoom out", () => zoom(0.8)), button("fit", "show everything", everything));
  return {
    title: chosen ? `Graph: ${chosen.name}` : "Graph", class: "whole", body: [map, bar, panel],
    after() {
      if (!chosen) {
        everything();
        if (view.width > size().width * 4 || view.height > size().height * 4) { // too small to be read: begin where most is read
          const most = [...site.tables].sort((a, b) => b.readers.length + b.inputs.length - a.readers.length - a.inputs.length)[0];
          centre(most.number, 1.6);
        }
      } else {
        const around = [chosen.number, ...up, ...down];
        fit(around, 0.8);
        if (view.width > size().width * 1.9) centre(chosen.number);
      }
    },
  };
};
