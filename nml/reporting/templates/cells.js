"use strict";
(() => {
  const SHOWN = 200;
  const data = JSON.parse(document.getElementById("cell-data").textContent)
    .map((row) => ({ row, text: row.slice(0, 3).join(" ").toLowerCase() }));
  const body = document.querySelector("#cell-table tbody");
  const heads = [...document.querySelectorAll("#cell-table th[tabindex]")];
  const box = document.getElementById("cell-filter");
  const count = document.getElementById("cell-count");
  const order = { column: -1, sign: 1 };

  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  const cell = (text, tag = "td") => {
    const made = document.createElement(tag);
    made.textContent = text;
    return made;
  };
  const line = (row) => {
    const path = row[row.length - 1];
    const made = document.createElement("tr");
    row.slice(0, -1).forEach((value) => made.append(cell(typeof value === "number" ? value.toFixed(1) : value)));
    const link = cell("meta.json", "a");
    link.href = "../" + path.replace(/^results\//, "").replace(/parquet$/, "meta.json");
    made.append(document.createElement("td"), document.createElement("td"));
    made.children[row.length - 1].append(cell("snakemake --cores 1 --force " + path, "code"));
    made.children[row.length].append(link);
    return made;
  };
  const show = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = data.filter(({ text }) => words.every((word) => text.includes(word))).map(({ row }) => row);
    if (order.column >= 0) {
      found = found.sort((a, b) => order.sign * compare(a[order.column], b[order.column]));
    }
    body.replaceChildren(...found.slice(0, SHOWN).map(line));
    const first = found.length > SHOWN ? `, the first ${SHOWN} are shown` : "";
    count.textContent = `${found.length} of ${data.length} cells${first}`;
  };
  const sort = (column) => {
    order.sign = order.column === column ? -order.sign : 1;
    order.column = column;
    heads.forEach((head, place) => {
      if (place === column) head.setAttribute("aria-sort", order.sign > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    show();
  };
  heads.forEach((head, column) => {
    head.addEventListener("click", () => sort(column));
    head.addEventListener("keydown", (event) => event.key === "Enter" && sort(column));
  });
  box.addEventListener("input", show);
  show();
})();
