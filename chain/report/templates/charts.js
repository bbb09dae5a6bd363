"use strict";
// Line charts: the legend's entries toggle series, and the pointer reads their values.
(() => {
  const TOP = 26, RIGHT = 12, BOTTOM = 42, LEFT = 46;
  const DASHES = { "-": "none", "--": "7 4", ":": "2 3", "-.": "7 3 2 3" };
  const FEW = 20; // points up to which each has a marker

  const add = (parent, name, attributes = {}, text = "") => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    return parent.appendChild(node);
  };

  const addHtml = (parent, name, text = "", className = "") => {
    const node = document.createElement(name);
    node.textContent = text;
    node.className = className;
    return parent.appendChild(node);
  };

  // Multiples of 1, 2 or 5 times a power of ten, about `wanted` of them in [low, high].
  const ticks = (low, high, wanted) => {
    const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const values = [];
    for (let n = Math.ceil(low / step); n * step <= high; n++) values.push((n * step).toFixed(digits));
    return values;
  };

  const range = (values, pad) => {
    const low = Math.min(...values), high = Math.max(...values);
    const room = pad * (high - low || Math.abs(high) || 1);
    return [low - room, high + room];
  };

  const plain = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(3));

  const line = (series, x, y) => ({
    d: "M" + series.x.map((_, i) => `${x(series.x[i])},${y(series.y[i])}`).join("L"),
    fill: "none",
    stroke: series.colour,
    "stroke-width": series.width,
    "stroke-dasharray": DASHES[series.dash] || "none",
    "stroke-linejoin": "round",
  });

  const band = (series, x, y) => {
    const edge = (sign) => series.x.map((v, i) => `${x(v)},${y(series.y[i] + sign * series.sd[i])}`);
    const d = `M${[...edge(1), ...edge(-1).reverse()].join("L")}Z`;
    return { d, fill: series.colour, "fill-opacity": 0.15 };
  };

  const nearest = (series, value) => series.x.reduce(
    (best, x, i) => (Math.abs(x - value) < Math.abs(series.x[best] - value) ? i : best), 0);

  const chart = (figure) => {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const legend = addHtml(figure, "div", "", "legend"), plot = addHtml(figure, "div", "", "plot");
    const off = new Set();
    const shown = () => data.series.filter((series) => !off.has(series));

    // The scales span all series, so that they stay when one is switched off.
    const sds = (series, i) => (series.sd ? series.sd[i] : 0);
    const [left, right] = range(data.series.flatMap((series) => series.x), 0.02);
    const ys = data.series.flatMap((s) => s.y.flatMap((v, i) => [v - sds(s, i), v + sds(s, i)]));
    let [low, high] = range(ys, 0.04);
    if (Math.min(...ys) >= 0 && low < high / 2) low = 0;

    const draw = () => {
      const width = plot.clientWidth, height = plot.clientHeight;
      const inner = width - LEFT - RIGHT, floor = height - BOTTOM;
      const x = (value) => LEFT + ((value - left) / (right - left)) * inner;
      const y = (value) => floor - ((value - low) / (high - low)) * (floor - TOP);
      plot.replaceChildren();
      const label = `${data.y} against ${data.x}`;
      const svg = add(plot, "svg", { width, height, role: "img", "aria-label": label });
      for (const tick of ticks(low, high, 5)) {
        add(svg, "line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) });
        add(svg, "text", { x: LEFT - 7, y: y(tick) + 4, "text-anchor": "end" }, tick);
      }
      for (const tick of ticks(left, right, inner / 50)) {
        add(svg, "line", { class: "axis", x1: x(tick), x2: x(tick), y1: floor, y2: floor + 4 });
        add(svg, "text", { x: x(tick), y: floor + 18, "text-anchor": "middle" }, tick);
      }
      add(svg, "line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: floor, y2: floor });
      add(svg, "text", { x: 0, y: 12 }, data.y);
      add(svg, "text", { x: LEFT + inner / 2, y: height - 6, "text-anchor": "middle" }, data.x);
      for (const series of shown()) {
        const group = add(svg, "g", { class: "series" });
        if (series.sd) add(group, "path", band(series, x, y));
        add(group, "path", line(series, x, y));
        if (series.x.length <= FEW) dots(group, series, series.x.keys(), x, y);
      }
      const guide = add(svg, "g"), readout = addHtml(plot, "div", "", "readout");
      readout.hidden = true;
      const move = (event) => {
        const at = event.clientX - svg.getBoundingClientRect().left;
        read(left + ((at - LEFT) / inner) * (right - left), guide, readout, x, y, floor);
        const box = readout.offsetWidth, wanted = at < width / 2 ? at + 14 : at - 14 - box;
        readout.style.left = `${Math.max(0, Math.min(wanted, width - box))}px`;
      };
      svg.addEventListener("pointerdown", move);
      svg.addEventListener("pointermove", move);
      svg.addEventListener("pointerleave", () => {
        guide.replaceChildren();
        readout.hidden = true;
      });
    };

    const dots = (group, series, places, x, y) => {
      for (const i of places) {
        const centre = { cx: x(series.x[i]), cy: y(series.y[i]) };
        add(group, "circle", { ...centre, r: 1.8 + series.width / 2, fill: series.colour });
      }
    };

    // Each series at its point nearest to `value`; where that lies elsewhere than the guide, it says so.
    const read = (value, guide, readout, x, y, floor) => {
      guide.replaceChildren();
      readout.replaceChildren();
      readout.hidden = !shown().length;
      const points = shown().map((series) => [series, nearest(series, value)]);
      const places = points.map(([series, i]) => series.x[i]);
      if (!places.length) return;
      const here = places[nearest({ x: places }, value)];
      add(guide, "line", { class: "guide", x1: x(here), x2: x(here), y1: TOP, y2: floor });
      addHtml(readout, "b", `${data.x} ${plain(here)}`);
      for (const [series, i] of points) {
        dots(guide, series, [i], x, y);
        const row = addHtml(readout, "div");
        addHtml(row, "span", series.name);
        const sd = series.sd ? ` ± ${series.sd[i].toFixed(3)}` : "";
        const at = series.x[i] === here ? "" : ` at ${plain(series.x[i])}`;
        addHtml(row, "span", series.y[i].toFixed(3) + sd + at);
      }
    };

    for (const series of data.series) {
      const button = addHtml(legend, "button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      const swatch = add(button, "svg", { width: 26, height: 10 });
      add(swatch, "path", line({ ...series, x: [0, 26], y: [5, 5] }, Number, Number));
      addHtml(button, "span", series.name);
      button.addEventListener("click", () => {
        if (!off.delete(series)) off.add(series);
        button.setAttribute("aria-pressed", String(!off.has(series)));
        draw();
      });
    }
    new ResizeObserver(draw).observe(plot);
  };

  document.querySelectorAll(".chart").forEach(chart);
})();
