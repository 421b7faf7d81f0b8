// The table of cells: DataTables, from the page itself, over the rows in #cell-data.
const bytes = (id) => Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
const style = document.createElement("style");
style.textContent = new TextDecoder().decode(bytes("datatables-css"));
document.head.append(style);
const source = URL.createObjectURL(new Blob([bytes("datatables-js")], { type: "text/javascript" }));
const { default: DataTable } = await import(source);
URL.revokeObjectURL(source);

const results = document.getElementById("cell-script").dataset.results;
const [ENCODER, TASK, METHOD, STATE, REASON, LOG] = [0, 1, 2, 3, 7, 8];
const path = (row) => `cells/${row[ENCODER]}/${row[TASK]}/${row[METHOD]}`;
const safe = DataTable.render.text().display;
const percent = (value, type) => (type === "display" && value !== "" ? value.toFixed(1) : value);
const command = (_, type, row) => `<code>snakemake --cores 1 --force results/${safe(path(row))}.parquet</code>`;
const link = (row) => {
  if (row[STATE] === "done") return [`${results}/${path(row)}.meta.json`, "metadata"];
  return row[LOG] ? [row[LOG].replace(/^results/, results), "log"] : null;
};
const about = (_, type, row) => {
  const [target, name] = link(row) ?? [null, ""];
  return target ? `<a href="${safe(encodeURI(target))}">${name}</a>` : name;
};
const words = { render: DataTable.render.text() };
const number = { render: percent, type: "num", className: "dt-right" };
const made = { orderable: false, searchable: false, data: null };

const data = JSON.parse(document.getElementById("cell-data").textContent);
const table = new DataTable("#cell-table", {
  data,
  columns: [
    words,
    words,
    words,
    { ...words, createdCell: (cell, state) => cell.classList.add(state) },
    ...[4, 5, 6].map((data) => ({ ...number, data })),
    { ...words, data: REASON, className: "reason", visible: data.some((row) => row[REASON]) },
    { ...made, render: about },
    { ...made, render: command },
  ].map((column, place) => ({ data: place, ...column })),
  deferRender: true,
  autoWidth: false,
  order: [],
  pageLength: 25,
  lengthMenu: [25, 100, 1000],
  language: { search: "Search:", searchPlaceholder: "symmetric-20 fashion nmtune", info: "_START_ to _END_ of _TOTAL_ cells" },
});
document.getElementById("cell-table").dataset.ready = table.rows().count();
