// Draws each plot from the table next to it; the table stays visible, for screen readers too.
(() => {
  "use strict";
  const drawn = [];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Numbers have a decimal point in every language, as in the tables.
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
  const clock = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });

  const columns = (table) => {
    const rows = [...table.tBodies[0].rows].reverse();
    const values = rows.map((row) => [...row.querySelectorAll("[data-value]")].map((cell) => (cell.dataset.value === "" ? null : Number(cell.dataset.value))));
    const names = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
    return { times: rows.map((row) => Number(row.cells[0].dataset.at)), names, values };
  };

  const draw = (box) => {
    const { times, names, values } = columns(document.getElementById(box.dataset.plots));
    const grid = { stroke: colour("--line"), width: 1 };
    const bars = "bars" in box.dataset ? uPlot.paths.bars({ size: [0.7, 40] }) : undefined;
    const unit = box.dataset.unit;
    const figure = (value) => (value === null || value === undefined ? "–" : short.format(value) + (unit && ` ${unit}`));
    return new uPlot({
      width: box.clientWidth, height: 220, cursor: { points: { size: 7 } },
      scales: { x: { range: (plot, first, last) => (bars ? [first - 1800, Math.max(last, first + 43200) + 1800] : [first, last]) }, y: { range: (plot, low, high) => [0, Math.max(high * 1.08, 1e-3)] } },
      axes: [
        { stroke: colour("--muted"), grid, values: (plot, at) => at.map((one) => clock.format(one * 1000)), space: 70 },
        { stroke: colour("--muted"), grid, values: (plot, at) => at.map(figure), size: 58 },
      ],
      series: [
        { label: document.getElementById(box.dataset.plots).tHead.rows[0].cells[0].textContent, value: (plot, at) => (at === null ? "–" : clock.format(at * 1000)) },
        ...names.map((label, at) => ({
          label, stroke: colour(`--line-${at}`), width: 2, value: (plot, one) => figure(one), spanGaps: false, paths: bars,
          fill: bars && colour("--accent-soft"), dash: bars || at % 2 === 0 ? undefined : [7, 4], points: { show: times.length < 30 && !bars },
        })),
      ],
    }, [times, ...names.map((_, at) => values.map((row) => row[at]))], box);
  };

  const begin = () => {
    for (const box of document.querySelectorAll("[data-plots]")) {
      box.hidden = false;
      document.getElementById(box.dataset.plots).closest("details").open = false;
      drawn.push({ box, plot: draw(box) });
    }
  };
  const again = () => {
    for (const one of drawn) { one.plot.destroy(); one.plot = draw(one.box); }
  };
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(again, 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  begin();
})();
