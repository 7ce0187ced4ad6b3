"use strict";
// The trade list and the chart of one trade, from the JSON in #data. No library, no network.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 20, WIDTH = 580, HEIGHT = 350, LEFT = 56, RIGHT = 92, TOP = 14, BOTTOM = 26;
  const get = (id) => document.getElementById(id);
  const dollars = (cents) => (cents < 0 ? "-" : "") + "$" + (Math.abs(cents) / 100).toLocaleString("en-US",
    { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const price = (cents) => (cents / 100).toFixed(2);
  const columns = [
    ["Symbol", (i) => data.symbols[data.symbol[i]], "text"],
    ["Strategy", (i) => data.strategies[data.strategy[i]] + (data.side[i] < 0 ? " short" : ""), "text"],
    ["In", (i) => data.days[data.entry[i]], ""],
    ["at", (i) => data.paid[i], "", price],
    ["Out", (i) => data.days[data.exit[i]], ""],
    ["at", (i) => data.got[i], "", price],
    ["Why", (i) => data.reasons[data.reason[i]], "text"],
    ["P&L", (i) => data.pnl[i], "sum", dollars],
  ];
  let order = data.symbol.map((_, i) => i), page = 0, sorted = -1, down = false, chosen = order[0];

  function make(name, attributes, text) {
    const svg = ["svg", "line", "rect", "path", "circle", "text", "polyline"].includes(name);
    const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function list() {
    const pages = Math.max(1, Math.ceil(order.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    const head = make("tr", {});
    columns.forEach(([name, , style], place) => {
      const arrow = place === sorted ? (down ? "down" : "up") : "";
      const cell = make("th", { class: `${style === "text" ? "text" : ""} ${arrow}` }, name);
      cell.onclick = () => { down = place === sorted ? !down : place > 6; sorted = place; sort(); };
      head.append(cell);
    });
    get("list").tHead.replaceChildren(head);
    get("list").tBodies[0].replaceChildren(...order.slice(page * PAGE, (page + 1) * PAGE).map((i) => {
      const row = make("tr", { class: i === chosen ? "chosen" : "", tabindex: 0 });
      for (const [, value, style, form] of columns) {
        const kind = style === "sum" ? (data.pnl[i] < 0 ? "loss" : "gain") : style;
        row.append(make("td", { class: kind }, form ? form(value(i)) : value(i)));
      }
      row.onclick = () => { chosen = i; list(); };
      row.onkeydown = (event) => { if (event.key === "Enter") row.onclick(); };
      return row;
    }));
    get("where").textContent = order.length ? `${page * PAGE + 1}–${Math.min(order.length, (page + 1) * PAGE)} of ${order.length.toLocaleString("en-US")}` : "none";
    get("back").disabled = page === 0;
    get("on").disabled = page === pages - 1;
    if (chosen !== undefined) draw(chosen);
  }

  function sort() {
    const value = columns[sorted][1], sign = down ? -1 : 1;
    order.sort((a, b) => (value(a) < value(b) ? -sign : value(a) > value(b) ? sign : a - b));
    page = 0;
    list();
  }

  const unpacked = new Map();
  function prices(symbol) {
    if (!unpacked.has(symbol)) {
      const [low, high, text] = data.prices[symbol];
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const levels = new Uint16Array(bytes.length / 2);
      for (let i = 0; i < levels.length; i++) levels[i] = bytes[2 * i] | (bytes[2 * i + 1] << 8);
      const span = Math.log(high / low);
      const all = Float64Array.from(levels, (level) => (level ? low * Math.exp(((level - 1) / 65534) * span) : NaN));
      const count = data.days.length;
      unpacked.set(symbol, Array.from({ length: data.fields }, (_, field) => all.subarray(field * count, (field + 1) * count)));
    }
    return unpacked.get(symbol);
  }

  function steps(low, high) {
    const rough = (high - low) / 5, unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((each) => each * unit).find((each) => each >= rough);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
    return found;
  }

  function draw(i) {
    const shown = [];
    const series = prices(data.symbol[i]), closes = series[series.length - 1];
    for (let day = data.entry[i], left = data.around[0]; day >= 0 && left >= 0; day--) if (closes[day] > 0) { shown.unshift(day); left--; }
    for (let day = data.entry[i] + 1, left = data.around[1]; day < closes.length && left > 0; day++) {
      if (closes[day] > 0) { shown.push(day); if (day > data.exit[i]) left--; }
    }
    const levels = [data.stop[i], data.target[i], data.paid[i], data.got[i]].filter((cents) => cents > 0).map((cents) => cents / 100);
    const seen = shown.flatMap((day) => series.map((field) => field[day])).concat(levels);
    let low = Math.min(...seen), high = Math.max(...seen);
    const room = (high - low) * 0.05 || 1; low -= room; high += room;
    const wide = (WIDTH - LEFT - RIGHT) / shown.length;
    const x = (place) => LEFT + (place + 0.5) * wide, y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low));
    const at = (day) => Math.max(0, shown.findLastIndex((each) => each <= day));
    const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Prices around the trade" });
    for (const tick of steps(low, high)) {
      svg.append(make("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }));
      svg.append(make("text", { class: "tick", x: LEFT - 7, y: y(tick) + 4 }, tick.toFixed(2)));
    }
    for (let place = 0; place < shown.length; place += Math.ceil(shown.length / 4)) {
      svg.append(make("text", { class: "date", x: Math.max(x(place), LEFT + 24), y: HEIGHT - 8 }, data.days[shown[place]]));
    }
    const entry = at(data.entry[i]), exit = at(data.exit[i]);
    svg.append(make("rect", { class: "held", x: x(entry) - wide / 2, width: (exit - entry + 1) * wide, y: TOP, height: HEIGHT - TOP - BOTTOM }));
    if (series.length === 1) {
      svg.append(make("polyline", { class: "price", points: shown.map((day, place) => `${x(place)},${y(closes[day])}`).join(" ") }));
    } else {
      shown.forEach((day, place) => {
        const [open, top, bottom, close] = series.map((field) => field[day]), style = close >= open ? "up" : "down";
        svg.append(make("line", { class: style, x1: x(place), x2: x(place), y1: y(top), y2: y(bottom) }));
        svg.append(make("rect", { class: style, x: x(place) - wide * 0.32, width: wide * 0.64, y: Math.min(y(open), y(close)), height: Math.max(1, Math.abs(y(open) - y(close))) }));
      });
    }
    for (const [name, cents] of [["stop", data.stop[i]], ["target", data.target[i]]]) {
      if (!cents) continue;
      svg.append(make("line", { class: name, x1: x(entry) - wide / 2, x2: WIDTH - RIGHT, y1: y(cents / 100), y2: y(cents / 100) }));
      svg.append(make("text", { class: name, x: WIDTH - RIGHT + 5, y: y(cents / 100) + 4 }, `${name} ${price(cents)}`));
    }
    svg.append(make("circle", { class: "bought", cx: x(entry), cy: y(data.paid[i] / 100), r: 5.5 }));
    svg.append(make("circle", { class: "sold", cx: x(exit), cy: y(data.got[i] / 100), r: 5.5 }));
    get("picture").replaceChildren(svg);
    const words = get("words");
    words.replaceChildren(make("b", {}, data.symbols[data.symbol[i]]));
    const [first, last] = data.side[i] < 0 ? ["sold short", "bought back"] : ["bought", "sold"];
    words.append(` ${data.qty[i].toLocaleString("en-US")} ${first} at ${price(data.paid[i])} on ${data.days[data.entry[i]]} (blue), ` +
      `${last} at ${price(data.got[i])} on ${data.days[data.exit[i]]} (black): ${data.reasons[data.reason[i]]} after ` +
      `${data.held[i]} bar${data.held[i] === 1 ? "" : "s"}, `, make("b", { class: data.pnl[i] < 0 ? "loss" : "gain" }, dollars(data.pnl[i])), " after costs.");
  }

  get("filter").oninput = (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    order = data.symbol.map((_, i) => i).filter((i) => `${data.symbols[data.symbol[i]]} ${data.strategies[data.strategy[i]]}`.toLowerCase().includes(wanted));
    page = 0;
    if (sorted >= 0) sort(); else list();
  };
  get("back").onclick = () => { page--; list(); };
  get("on").onclick = () => { page++; list(); };
  list();
})();
