/* Colours SQL and Python; names of tables that the project has lead to them. */
"use strict";
site.code = (() => {
  const SQL = new Set(("all and any array as asc at between both by case cast check coalesce collate cross cube current date desc "
    + "distinct else end escape except exclude exists extract false fetch filter first following for from full group grouping having ignore "
    + "ilike in inner intersect interval into is join last lateral left like limit natural not null nulls offset on or order outer "
    + "over partition preceding qualify range recursive replace respect right rollup row rows select sets similar some table then time "
    + "timestamp to trim true try_cast unbounded union unnest using values when where window with within zone").split(" "));
  const PYTHON = new Set(("and as assert async await break class continue def del elif else except False finally for from global if "
    + "import in is lambda None nonlocal not or pass raise return True try while with yield").split(" "));
  const TOKENS = {
    sql: /(--[^\n]*|\/\*[\s\S]*?\*\/)|('(?:[^']|'')*'?|\$\$[\s\S]*?\$\$)|("(?:[^"]|"")*"?)|(\$?[A-Za-z_][A-Za-z0-9_]*)|(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)/g,
    python: /(#[^\n]*)|("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)|(@[A-Za-z_][\w.]*)|([A-Za-z_]\w*)|(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)/g,
  };
  function colour(text, language, tables) {
    const made = [];
    let last = 0;
    for (const found of text.matchAll(TOKENS[language])) {
      const [word, comment, string, quoted, name, number] = found;
      if (found.index > last) made.push(text.slice(last, found.index));
      last = found.index + word.length;
      const plain = quoted && language === "sql" ? quoted.slice(1, -1) : word;
      const kind = comment ? "comment" : string ? "string" : number ? "number"
        : name && (language === "sql" ? SQL.has(word.toLowerCase()) : PYTHON.has(word)) ? "keyword" : "";
      const table = !kind && tables.has(plain) && text[found.index - 1] !== "." && text[last] !== "." ? site.byName.get(plain) : null;
      if (table) made.push(Object.assign(site.anchor(table), { textContent: word }));
      else made.push(kind ? site.h("span", { class: kind }, word) : word);
    }
    if (last < text.length) made.push(text.slice(last));
    return made;
  }
  /* A block of code, with a button that copies it. */
  return (text, language, inputs) => {
    const copy = site.h("button", { type: "button", class: "copy", on: { click: async () => {
      try { await navigator.clipboard.writeText(text); copy.textContent = "copied"; } catch { copy.textContent = "select it by hand"; }
      setTimeout(() => { copy.textContent = "copy"; }, 1500);
    } } }, "copy");
    return site.h("div", { class: "code" }, copy, site.h("pre", { tabindex: "0" }, site.h("code", {}, colour(text, language, new Set(inputs)))));
  };
})();
