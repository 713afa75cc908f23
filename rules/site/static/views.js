/* The views: overview, rules, one rule or source with its columns, checks, builds. Each returns a title and a body. */
"use strict";
(() => {
  const { h, s, count, plural, seconds, bytes, moment, link, anchor, views } = site;
  const ORDER = ["executed", "restored", "clean", "failed", "skipped"];
  const status = (text) => h("span", { class: `status ${text}` }, { new: "not built", ok: "ok" }[text] || text);
  const pill = (text, kind) => h("li", { class: `pill ${kind || ""}` }, text);
  const rules = () => site.tables.filter((one) => one.kind !== "source");
  const named = (name) => (site.byName.has(name) ? anchor(site.byName.get(name)) : h("span", {}, name));
  const buildLink = (build) => h("a", { href: link("build", build.build) }, moment(build.started));

  /* Tables of rows: columns are [title, class]. */
  function grid(columns, rows) {
    return h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, columns.map(([title, kind]) => h("th", { class: kind, scope: "col" }, title)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, at) => h("td", { class: columns[at][1] }, cell)))))));
  }

  /* Plots */
  function bars(entries) {
    const most = Math.max(...entries.map((one) => one[1]), 1e-9);
    return h("div", { class: "bars" }, entries.map(([what, value]) => [
      h("div", { class: "what" }, what),
      s("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" },
        s("rect", { class: "track", width: 100, height: 12 }), s("rect", { class: "fill", width: Math.max((value / most) * 100, 0.4), height: 12 })),
      h("div", { class: "number" }, seconds(value))]));
  }
  function plot(title, points, format, kind) {
    const width = 460, height = 130, left = 4, bottom = 22, top = 8;
    const values = points.map((one) => one.value).filter((one) => one !== null && one !== undefined);
    if (!values.length) return null;
    const most = Math.max(...values) || 1;
    const x = (at) => left + (points.length === 1 ? width / 2 : (at / (points.length - 1)) * (width - 2 * left));
    const y = (value) => top + (1 - value / most) * (height - top - bottom);
    const room = (width - 2 * left) / points.length;
    const marks = points.map((one, at) => {
      if (one.value === null || one.value === undefined) return null;
      const label = s("title", {}, `${one.label}: ${format(one.value)}`);
      if (kind === "bars") {
        const tall = Math.max(height - bottom - y(one.value), 1.5);
        const bar = s("rect", { class: `bar ${one.kind || ""}`, x: left + (at + 0.5) * room - Math.min(room * 0.76, 26) / 2, y: height - bottom - tall, width: Math.min(room * 0.76, 26), height: tall, rx: 2 }, label);
        return one.href ? s("a", { href: one.href }, bar) : bar;
      }
      return s("circle", { class: `dot ${one.kind || ""}`, cx: x(at), cy: y(one.value), r: points.length > 40 ? 2 : 3 }, label);
    });
    let path = "", pen = "M";
    points.forEach((one, at) => {
      if (one.value === null || one.value === undefined) return;
      path += `${pen}${x(at).toFixed(1)} ${y(one.value).toFixed(1)}`;
      pen = "L";
    });
    const last = [...points].reverse().find((one) => one.value !== null && one.value !== undefined);
    return h("div", { class: "plot" }, h("h3", {}, title),
      s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: the latest is ${format(last.value)}, the most ${format(most)}` },
        s("line", { class: "axis", x1: 0, x2: width, y1: height - bottom, y2: height - bottom }),
        s("line", { class: "axis", x1: 0, x2: width, y1: top, y2: top }), s("text", { x: width, y: top - 2, "text-anchor": "end" }, format(most)),
        kind === "bars" ? null : s("path", { class: "line", d: path }), marks,
        s("text", { x: 0, y: height - 6 }, points[0].label), s("text", { x: width, y: height - 6, "text-anchor": "end" }, points.length > 1 ? points[points.length - 1].label : "")));
  }
  function share(summary) {
    const total = ORDER.reduce((sum, one) => sum + (summary[one] || 0), 0);
    if (!total) return null;
    let at = 0;
    const parts = ORDER.map((one) => {
      const part = s("rect", { class: one, x: at, width: ((summary[one] || 0) / total) * 100, height: 10 }, s("title", {}, `${one}: ${summary[one] || 0}`));
      at += ((summary[one] || 0) / total) * 100;
      return part;
    });
    return [s("svg", { class: "share", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, parts), h("p", { class: "faint" }, summed(summary))];
  }
  const summed = (summary) => ORDER.filter((one) => summary[one]).map((one) => `${count(summary[one])} ${one}`).join(", ") || "nothing finished";
  const buildPlot = (builds) => plot("Seconds of each build", builds.map((one) => (
    { value: one.seconds, label: moment(one.started), kind: one.status, href: link("build", one.build) })), seconds, "bars");

  /* Overview */
  views[""] = async () => {
    const { index } = site;
    const last = index.builds[index.builds.length - 1];
    const failing = index.checks.filter((one) => one.failing > 0);
    const sources = site.tables.length - rules().length;
    const card = (href, value, text, bad) => h("a", { class: `card${bad ? " bad" : ""}`, href }, h("b", {}, value), h("span", {}, text));
    const trouble = site.tables.filter((one) => ["failed", "broken", "skipped"].includes(one.status));
    const edited = rules().filter((one) => one.edited);
    const body = [
      h("h1", {}, index.project),
      h("div", { class: "cards" },
        card(link("rules"), count(rules().length), rules().length === 1 ? "rule" : "rules"), card(link("graph"), count(sources), sources === 1 ? "source" : "sources"),
        card(link("checks"), failing.length ? `${failing.length} failing` : count(index.checks.length), failing.length ? `of ${plural(index.checks.length, "check")}` : index.checks.length === 1 ? "check" : "checks", failing.length),
        last ? card(link("build", last.build), seconds(last.seconds), "last build", last.status !== "ok") : h("div", { class: "card" }, h("b", {}, "–"), h("span", {}, "not built yet"))),
      trouble.length ? h("div", { class: "note" }, h("p", {}, "Not up to date: ", joined(trouble.map((one) => anchor(one))))) : null,
      failing.length ? h("div", { class: "note" }, failing.map((one) => h("p", {}, named(one.table), `: check ${one.name} fails for ${plural(one.failing, "row")} (${one.says})`))) : null,
      edited.length ? h("div", { class: "note warn" }, h("p", {}, "Edited since they were built: ", joined(edited.map((one) => anchor(one))))) : null,
    ];
    if (last) {
      const { results } = await site.load(`build:${last.build}`, `data/builds/build-${last.build}.js`);
      body.push(h("h2", {}, "Last build"), h("p", {}, status(last.status), " ", buildLink(last), h("span", { class: "faint" }, `, ${seconds(last.seconds)}`)), share(last.summary));
      body.push(...whereTimeWent(results, "Where its time went"));
      if (index.builds.length > 1) body.push(h("h2", {}, "Builds"), h("div", { class: "plots" }, buildPlot(index.builds)));
    }
    const slow = rules().filter((one) => one.seconds).sort((a, b) => b.seconds - a.seconds).slice(0, 12);
    if (slow.length) {
      const all = rules().reduce((sum, one) => sum + (one.seconds || 0), 0);
      body.push(h("h2", {}, "The most expensive rules"), h("p", { class: "faint" }, `By their last executions, which took ${seconds(all)} in all.`), bars(slow.map((one) => [anchor(one), one.seconds])));
    }
    return { title: "", body };
  };
  const joined = (parts) => parts.slice(0, 30).flatMap((one, at) => (at ? [", ", one] : [one])).concat(parts.length > 30 ? [` and ${count(parts.length - 30)} more`] : []);
  function whereTimeWent(results, title) {
    const ran = results.filter((one) => one[1] === "executed" && one[4]).sort((a, b) => b[4] - a[4]);
    if (!ran.length) return [];
    const rest = ran.slice(12), entries = ran.slice(0, 12).map((one) => [named(one[0]), one[4]]);
    if (rest.length) entries.push([`${count(rest.length)} others`, rest.reduce((sum, one) => sum + one[4], 0)]);
    return [h("h2", {}, title), bars(entries)];
  }

  /* Rules */
  views.rules = async (tag) => {
    const tags = [...new Set(rules().flatMap((one) => one.tags))].sort();
    const shown = rules().filter((one) => !tag || one.tags.includes(tag)).sort((a, b) => (a.name < b.name ? -1 : 1));
    return { title: "Rules", body: [
      h("h1", {}, tag ? `Rules tagged ${tag}` : "Rules"),
      tags.length ? h("ul", { class: "facts" }, tags.map((one) => h("li", {}, h("a", { class: "pill tag", href: one === tag ? link("rules") : link("rules", one) }, one === tag ? `${one} ×` : one)))) : null,
      h("h2", {}, plural(shown.length, "rule")),
      grid([["Rule", "name"], ["Description"], ["Rows", "number"], ["Took", "number"], ["State"]],
        shown.map((one) => [anchor(one), one.description, count(one.rows), seconds(one.seconds), status(one.status)])),
    ] };
  };

  /* A rule or source */
  views.rule = views.source = async (name, column) => {
    const table = site.byName.get(name);
    if (!table) return views.missing(name);
    const found = await site.load(`table:${table.file}`, `data/tables/table-${table.file}.js`);
    const isSource = table.kind === "source";
    const checks = site.index.checks.filter((one) => one.table === name);
    const body = [
      h("p", { class: "crumbs" }, isSource ? "source" : found.path, found.line ? `, line ${found.line}` : ""),
      h("h1", {}, name), table.description ? h("p", { class: "lead" }, table.description) : null,
      h("ul", { class: "facts" },
        isSource ? pill(found.format || "by its extension", "tag") : h("li", { class: "pill" }, status(table.status)),
        table.rows === null || table.rows === undefined ? null : pill(plural(table.rows, "row")),
        table.bytes ? pill(bytes(table.bytes)) : null, table.seconds ? pill(seconds(table.seconds)) : null,
        table.checks[0] ? pill(table.checks[1] ? `${table.checks[1]} of ${plural(table.checks[0], "check")} failing` : plural(table.checks[0], "check"), table.checks[1] ? "bad" : "good") : null,
        found.tier ? pill(`tier ${found.tier}`, "tag") : null, found.volatile ? pill("volatile", "warn") : null,
        table.edited ? pill("edited since it was built", "warn") : null,
        table.tags.map((one) => h("li", {}, h("a", { class: "pill tag", href: link("rules", one) }, one)))),
      found.error ? h("div", { class: "note" }, h("p", {}, found.error.message), found.error.where ? h("p", { class: "mono" }, found.error.where) : null, found.error.hint ? h("p", { class: "faint" }, found.error.hint) : null) : null,
      found.reason && (table.status === "failed" || table.status === "skipped") && !found.error ? h("div", { class: "note" }, h("p", {}, found.reason)) : null,
      flow(table, found),
      isSource ? [h("h2", {}, "Where it is"), h("p", { class: "mono" }, found.path)] : null,
      columns(table, found, column), promises(found, checks), code(table, found), variables(found), history(table, found),
    ];
    return { title: name, body, after() {
      const chosen = column ? document.getElementById("column") : null;
      if (chosen) chosen.scrollIntoView({ block: "start" }); else window.scrollTo(0, 0);
    } };
  };
  function flow(table, found) {
    const list = (numbers, none, reads) => (numbers.length
      ? h("ul", {}, numbers.map((one) => h("li", {}, anchor(site.tables[one]), reads ? h("small", {}, reads(site.tables[one])) : null))) : h("p", { class: "faint" }, none));
    const read = (entry) => (!found.reads || !(entry.name in found.reads) ? "" : found.reads[entry.name].length ? found.reads[entry.name].join(", ") : "only how many rows there are");
    return h("div", { class: "flow" },
      h("div", {}, h("h3", {}, table.kind === "source" ? "comes from outside" : "reads"), table.kind === "source" ? null : list(table.inputs, "nothing", read)),
      h("div", { class: "self" }, table.name, h("a", { href: link("graph", table.name) }, "show in the graph")),
      h("div", {}, h("h3", {}, "read by"), list(table.readers, "nobody in this project")));
  }

  /* Columns, each with what it is made of and what is made of it, as far as there are rules */
  function columns(table, found, chosen) {
    if (!found.columns.length) return null;
    const key = found.contract ? found.contract.key : [];
    const entries = found.columns.map(([name, type, about]) => {
      const promised = (found.contract && found.contract.columns[name]) || {};
      const marks = [key.includes(name) ? "key" : null, promised.not_null ? "never NULL" : null,
        promised.accepted && promised.accepted.length ? `one of ${promised.accepted.join(", ")}` : null, promised.references ? `in ${promised.references}` : null].filter(Boolean);
      const inside = h("div", { class: "inside" });
      const made = h("details", { id: name === chosen ? "column" : null, data: { column: name } },
        h("summary", {}, h("b", {}, name), h("span", { class: "type mono" }, type), h("span", {}, about, about && marks.length ? " " : "", marks.length ? h("small", {}, marks.join(" · ")) : null)), inside);
      made.addEventListener("toggle", async () => {
        if (!made.open || inside.firstChild) return;
        const lineage = await edges();
        const at = table.columns.indexOf(name);
        inside.replaceChildren(
          h("div", {}, h("h3", {}, "made of"), tree(lineage, table.number, at, "up") || h("p", { class: "faint" }, table.kind === "source" ? "comes from outside" : "no column")),
          h("div", {}, h("h3", {}, "goes into"), tree(lineage, table.number, at, "down") || h("p", { class: "faint" }, "nothing")),
          h("p", {}, h("a", { href: site.anchor(table, name).hash }, "link to this column")));
      });
      if (name === chosen) made.open = true;
      return made;
    });
    return [h("h2", {}, plural(found.columns.length, "column")), h("div", { class: "columns" }, entries)];
  }
  let indexed = null;
  async function edges() {
    if (indexed) return indexed;
    const { links, expressions } = await site.load("lineage", "data/lineage.js");
    const up = new Map(), down = new Map();
    const add = (map, key, value) => { if (map.has(key)) map.get(key).push(value); else map.set(key, [value]); };
    for (const [from, column, to, output, kind, expression] of links) {
      add(up, `${to}.${output}`, { table: from, column, kind, expression });
      if (output >= 0) add(down, `${from}.${column}`, { table: to, column: output, kind, expression });
      else add(down, `${from}.${column}`, { table: to, column: -1, kind, expression });
    }
    indexed = { up, down, expressions };
    return indexed;
  }
  /* A tree of columns; one that was met before is not followed again. Control edges are followed one step. */
  function tree(lineage, table, column, way) {
    const seen = new Set([`${table}.${column}`]);
    let left = 300;
    function branch(from, at, depth) {
      const map = lineage[way];
      const found = way === "up" ? [...(map.get(`${from}.${at}`) || []), ...(depth === 0 ? map.get(`${from}.-1`) || [] : [])] : at < 0 ? [] : map.get(`${from}.${at}`) || [];
      const steps = [...found].sort((a, b) => b.kind - a.kind);
      const entries = [];
      for (const step of steps) {
        if (left <= 0) { if (left === 0) entries.push(h("li", { class: "faint" }, "and more")); left -= 1; break; }
        left -= 1;
        const key = `${step.table}.${step.column}`, next = site.tables[step.table], again = seen.has(key);
        seen.add(key);
        const label = step.column < 0 ? [anchor(next), h("em", {}, "its rows")] : [anchor(next, next.columns[step.column]), step.kind ? null : h("em", {}, "decides about rows")];
        entries.push(h("li", { class: step.kind ? "value" : "control" }, label, h("code", {}, lineage.expressions[step.expression]),
          again || !step.kind ? null : branch(step.table, step.column, depth + 1)));
      }
      return entries.length ? h("ul", { class: "tree" }, entries) : null;
    }
    return branch(table, column, 0);
  }

  function promises(found, checks) {
    if (!found.contract) return null;
    const { key, exact } = found.contract;
    return [h("h2", {}, "Promises"),
      key.length ? h("p", {}, "No two rows have the same ", h("code", {}, key.join(", ")), ".") : null,
      exact ? h("p", {}, "It has these columns and no others.") : null,
      checks.length ? checkGrid(checks, false) : null];
  }
  function checkGrid(checks, withTable) {
    const state = (one) => (one.failing === null ? status("new") : one.failing ? h("span", { class: `status ${one.severity === "warn" ? "warn" : "failed"}` }, plural(one.failing, "row")) : h("span", { class: "status passed" }, "passed"));
    return grid([...(withTable ? [["Table", "name"]] : []), ["Check", "name"], ["State"], ["Severity"], ["A failing row is"]], checks.map((one) => [
      ...(withTable ? [named(one.table)] : []), h("details", {}, h("summary", {}, one.name), site.code(one.sql, "sql", [])), state(one), one.severity, one.says]));
  }
  function code(table, found) {
    if (table.kind === "source" || !found.authored) return null;
    const inputs = table.inputs.map((one) => site.tables[one].name);
    const texts = [["As written", () => site.code(found.authored.replace(/\s+$/, ""), table.kind === "python" ? "python" : "sql", inputs)]];
    if (found.executed) texts.push(["As executed", () => site.code(found.executed, "sql", inputs)]);
    const holder = h("div", {}, texts[0][1]());
    const buttons = texts.map(([title, make], at) => h("button", { type: "button", "aria-pressed": String(at === 0), on: { click: () => {
      holder.replaceChildren(make());
      buttons.forEach((one, other) => one.setAttribute("aria-pressed", String(other === at)));
    } } }, title));
    return [h("div", { class: "choice" }, h("h2", {}, "Rule"), texts.length > 1 ? buttons : null), holder];
  }
  function variables(found) {
    const entries = Object.entries(found.variables || {});
    return entries.length ? [h("h2", {}, "Variables"), h("div", {}, entries.map(([name, value]) => h("p", {}, h("code", {}, `$${name} = ${value}`))))] : null;
  }
  function history(table, found) {
    if (table.kind === "source" || !found.history.length) return null;
    const { builds } = site.index;
    const label = (one) => moment(builds[one[0]].started);
    const ran = found.history.filter((one) => one[2] !== null);
    const rows = found.history.filter((one) => one[3] !== null);
    const last = [...found.history].reverse().filter((one) => one[1] !== "clean" || one[4]).slice(0, 12);
    const operators = (found.operators || []).filter((one) => one[3] !== null);
    return [h("h2", {}, "Builds"),
      h("div", { class: "plots" },
        plot("Seconds of each execution", ran.map((one) => ({ value: one[2], label: label(one), kind: one[1] })), seconds, "bars"),
        plot("Rows after each build", rows.map((one) => ({ value: one[3], label: label(one), kind: one[1] })), count, "line")),
      last.length ? grid([["Build", "name"], ["State"], ["Changed"], ["Rows", "number"], ["Took", "number"]], last.map((one) => [
        buildLink(builds[one[0]]), status(one[1]), one[4] ? "yes" : "no", count(one[3]), seconds(one[2])])) : null,
      found.reason ? h("p", { class: "faint" }, `Last: ${found.reason}`) : null,
      operators.length ? [h("h2", {}, "Where its time went"), h("p", { class: "faint" }, "The operators of the plan that ran last, each without its inputs."),
        grid([["Operator"], ["Rows", "number"], ["Took", "number"]], found.operators.map((one) => [h("span", { class: "mono" }, `${"\u00a0\u00a0".repeat(one[0])}${one[1]}`), count(one[2]), seconds(one[3])]))] : null,
      h("p", { class: "faint mono" }, h("small", {}, `fingerprint ${found.fingerprint || "–"}`, h("br"), `artifact ${found.artifact || "–"}`))];
  }

  /* Checks and builds */
  views.checks = async () => {
    const checks = [...site.index.checks].sort((a, b) => (b.failing > 0) - (a.failing > 0));
    const failing = checks.filter((one) => one.failing > 0).length;
    return { title: "Checks", body: [h("h1", {}, "Checks"),
      h("p", { class: "lead" }, !checks.length ? "No table of this project promises anything that is checked." : failing ? `${plural(failing, "check")} of ${count(checks.length)} failed when they last ran.` : `All ${count(checks.length)} passed when they last ran, as far as they ran.`),
      checks.length ? checkGrid(checks, true) : null] };
  };
  views.builds = async () => {
    const builds = [...site.index.builds].reverse();
    return { title: "Builds", body: [h("h1", {}, "Builds"),
      builds.length ? h("div", { class: "plots" }, buildPlot(site.index.builds)) : h("p", { class: "lead" }, "Nothing was built yet."),
      builds.length ? grid([["Started", "name"], ["State"], ["Took", "number"], ["Products"]], builds.map((one) => [buildLink(one), status(one.status), seconds(one.seconds), summed(one.summary)])) : null] };
  };
  views.build = async (name) => {
    const build = site.index.builds.find((one) => one.build === name);
    if (!build) return views.missing(name);
    const { results } = await site.load(`build:${name}`, `data/builds/build-${name}.js`);
    const order = [...results].sort((a, b) => (b[1] === "failed") - (a[1] === "failed") || (b[4] || 0) - (a[4] || 0));
    return { title: `Build ${name}`, body: [h("p", { class: "crumbs" }, name), h("h1", {}, moment(build.started)),
      h("p", {}, status(build.status), h("span", { class: "faint" }, ` ${seconds(build.seconds)}`)), share(build.summary),
      ...whereTimeWent(results, "Where its time went"),
      h("h2", {}, "What it did"),
      order.length ? grid([["Product", "name"], ["State"], ["Why"], ["Took", "number"]], order.map((one) => [named(one[0]), status(one[1]), one[3], seconds(one[4])])) : h("p", { class: "faint" }, "Nothing had to be done.")] };
  };
  views.missing = async (name) => ({ title: "Not found", body: [h("h1", {}, "Not found"), h("p", {}, `There is nothing called “${name || site.place()[0]}” here.`), h("p", {}, h("a", { href: link("") }, "Overview"))] });
})();
