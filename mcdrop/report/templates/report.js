"use strict";
(function () {
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];

  function storedTheme() {
    // A page opened from disk may be refused storage.
    try { return localStorage.getItem("mcdrop-theme"); } catch { return null; }
  }

  function setTheme(theme) {
    if (theme === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
    try { localStorage.setItem("mcdrop-theme", theme); } catch { /* It then lasts until reload. */ }
  }

  // Before the page is painted, so that it does not flash.
  const stored = storedTheme();
  if (themes.includes(stored)) setTheme(stored);

  document.addEventListener("DOMContentLoaded", function () {
    themeButton();
    sections();
    document.querySelectorAll("table.sortable").forEach(sortable);
    choice(document.querySelector("[data-switch]"));
    const deploy = document.querySelector("[data-deploy]");
    const gallery = document.querySelector("[data-gallery]");
    const within = gallery ? examples(gallery, document.querySelector("[data-filters]")) : () => 0;
    const map = document.querySelector("[data-map]");
    const line = map ? doubt(map, within) : () => {};
    if (deploy) threshold(deploy, line);
    const stage = document.querySelector("[data-watch]");
    if (stage) watch(stage, gallery);
  });

  function themeButton() {
    const button = document.querySelector("[data-theme-button]");
    const show = (theme) => { button.textContent = "Theme: " + theme; };
    show(root.dataset.theme || "auto");
    button.hidden = false;
    button.addEventListener("click", function () {
      const next = themes[(themes.indexOf(root.dataset.theme || "auto") + 1) % themes.length];
      setTheme(next);
      show(next);
    });
  }

  // Marks the section being read in the list of sections.
  function sections() {
    const links = new Map();
    document.querySelectorAll(".rail a").forEach((link) => links.set(link.hash.slice(1), link));
    const seen = new Set();
    const watch = new IntersectionObserver(function (entries) {
      entries.forEach((e) => (e.isIntersecting ? seen.add(e.target.id) : seen.delete(e.target.id)));
      const current = [...links.keys()].find((id) => seen.has(id));
      links.forEach(function (link, id) {
        if (id === current) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      });
    }, { rootMargin: "-15% 0px -60% 0px" });
    links.forEach((_, id) => watch.observe(document.getElementById(id)));
  }

  // Shows one of several parts, chosen by radio buttons; without a script all are shown.
  function choice(buttons) {
    if (!buttons) return;
    const parts = [...document.querySelectorAll("[data-choice]")];
    function show() {
      const wanted = buttons.querySelector("input:checked").value;
      parts.forEach((part) => { part.hidden = part.dataset.choice !== wanted; });
    }
    buttons.addEventListener("change", show);
    buttons.hidden = false;
    show();
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    const all = table.closest("section").querySelector("[data-all-rows]");
    let limit = Number(table.dataset.firstRows);
    function cut() {
      [...body.rows].forEach((row, place) => { row.hidden = place >= limit; });
      all.hidden = body.rows.length <= limit;
    }
    all.addEventListener("click", function () {
      limit = Infinity;
      cut();
    });
    cut();
    heads.forEach(function (head, column) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent.trim();
      head.replaceChildren(button);
      button.addEventListener("click", function () {
        const numeric = head.dataset.sort === "number";
        const first = numeric ? "descending" : "ascending";
        const second = numeric ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === first ? second : first;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const rows = [...body.rows].map((row) => [key(row.cells[column], numeric), row]);
        rows.sort((a, b) => compare(a[0], b[0], sign, numeric));
        body.append(...rows.map((pair) => pair[1]));
        cut();
      });
    });
  }

  function key(cell, numeric) {
    return numeric ? Number.parseFloat(cell.dataset.value) : cell.textContent.trim();
  }

  // What is not a number goes last, whichever way the column is sorted.
  function compare(a, b, sign, numeric) {
    if (!numeric) return sign * a.localeCompare(b, undefined, { numeric: true });
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return sign * (a - b);
  }

  // The digits that an interval supports, two of its half width; `otherwise` where there is none.
  function digitsOf(ends, otherwise) {
    const half = Math.abs(ends[1] - ends[0]) / 2;
    if (ends.includes(null) || !(half > 0)) return otherwise;
    return Math.min(Math.max(1 - Math.floor(Math.log10(half)), 0), 6);
  }

  // Text of a share that reads 0% or 100% only when it is exactly so.
  function percent(value, least = 1) {
    if (value === 0 || value === 1) return 100 * value + "%";
    for (let digits = least; digits < 5; digits += 1) {
      const text = (100 * value).toFixed(digits);
      if (Number(text) !== 0 && Number(text) !== 100) return text + "%";
    }
    return value > 0.5 ? ">99.99%" : "<0.01%";
  }

  function number(value, digits = 3) {
    const small = value !== 0 && Number(value.toFixed(digits)) === 0;
    return (small ? value.toPrecision(2) : value.toFixed(digits)).replace("-", "\u2212");
  }

  // Four digits; a threshold is copied into code, so what is shown must not round much.
  function significant(value) {
    const text = Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(4);
    return text.replace("-", "\u2212");
  }

  function count(value) {
    return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  }

  function threshold(deploy, moved) {
    const data = JSON.parse(document.getElementById("slider-data").textContent);
    const slider = document.getElementById("coverage");
    const text = data.share ? percent : number;
    const mark = marker(deploy.querySelector("svg[role=img]"), data);
    const out = (name) => deploy.querySelector('[data-out="' + name + '"]');
    const bill = costs(data, function (place) {
      slider.value = place;
      show();
    });

    function show() {
      const place = Number(slider.value);
      const accepted = Math.round(data.coverage[place] * data.count);
      out("coverage").textContent = percent(data.coverage[place]);
      out("accepted").textContent = count(accepted) + " of " + count(data.count) + " accepted";
      out("value").textContent = text(data.value[place], digits(place));
      const parts = [interval(place), mistakes(place, accepted)];
      out("interval").textContent = parts.filter(Boolean).join(", ");
      out("threshold").textContent = "\u2264 " + significant(data.threshold[place]);
      const plain = out("plain");
      if (plain) plain.textContent = data.plain[place] === null ? "\u2013" : text(data.plain[place], digits(place));
      slider.setAttribute("aria-valuetext", percent(data.coverage[place]) + " accepted");
      mark(place);
      bill(place);
      moved(data.threshold[place]);
    }
    const scale = data.share ? 100 : 1;
    const digits = (place) => digitsOf(
      [data.low[place], data.high[place]].map((end) => (end === null ? null : scale * end)), data.share ? 1 : 3);
    function interval(place) {
      if (data.low[place] === null) return "";
      return "[" + text(data.low[place], digits(place)) + ", " + text(data.high[place], digits(place)) + "]";
    }
    function mistakes(place, accepted) {
      if (!data.share) return "";
      const wrong = accepted - Math.round(data.value[place] * accepted);
      return count(wrong) + (wrong === 1 ? " mistake" : " mistakes");
    }

    deploy.querySelectorAll("[data-target]").forEach(function (button) {
      const wanted = Number(button.dataset.target);
      // The largest coverage at which the accuracy is reached.
      const place = data.value.findLastIndex((value) => value >= wanted);
      button.disabled = place < 0;
      button.addEventListener("click", function () {
        slider.value = place;
        show();
      });
    });
    slider.addEventListener("input", show);
    deploy.querySelector("[data-control]").hidden = false;
    deploy.querySelector("[data-readout]").hidden = false;
    slider.value = data.start;
    show();
  }

  // Tells what an operating point costs, and how to deploy it; returns the function that does so.
  function costs(data, choose) {
    const part = document.querySelector("[data-cost]");
    if (!part) return () => {};
    const out = (name) => part.querySelector('[data-out="' + name + '"]');
    const prices = [...part.querySelectorAll("[data-price]")];
    const dots = [...part.querySelectorAll("[data-hundred] i")];
    const cheapest = part.querySelector("[data-cheapest]");
    let current = 0;

    const known = () => prices.every((price) => price.value !== "" && price.checkValidity());
    function cost(place, accuracy) {
      const [mistake, look] = prices.map((price) => Number(price.value));
      const accepted = data.coverage[place];
      return 100 * (accepted * (1 - accuracy) * mistake + (1 - accepted) * look);
    }
    function cases(place) {
      const accepted = data.coverage[place];
      const ends = data.low[place] === null ? null : [data.high[place], data.low[place]];
      const interval = (text) => (ends ? " [" + ends.map(text).join(", ") + "]" : "");
      // Hundredths at most: the sentence is read, not copied.
      const digits = (of) => (ends ? Math.min(digitsOf(ends.map(of), 1), 2) : 1);
      const ofWrong = digits((accuracy) => 100 * accepted * (1 - accuracy));
      const among = (share, places = 1) => percent(share, places).replace("%", "");
      const wrong = (accuracy) => among(accepted * (1 - accuracy), ofWrong);
      let text = "Of 100 cases " + among(accepted * data.value[place]) + " go through right, "
        + wrong(data.value[place]) + interval(wrong) + " wrong, and "
        + among(1 - accepted) + " go to a person. ";
      if (!known()) return text + "Give two costs of at least 0 to see what that costs.";
      const ofCost = digits((accuracy) => cost(place, accuracy));
      const price = (accuracy) => number(cost(place, accuracy), ofCost);
      const all = data.coverage.length - 1;
      text += "That costs " + price(data.value[place]) + interval(price) + "; letting all through costs "
        + number(cost(all, data.value[all]), ofCost) + ", handing all to a person "
        + count(100 * Number(prices[1].value)) + ".";
      return text;
    }
    function show(place) {
      current = place;
      out("option").textContent = "mcdrop predict MODEL DATA --output FILE.parquet " + data.options
        + " --abstain-above " + data.threshold[place];
      if (!cheapest) return;
      const accepted = data.coverage[place];
      const wrong = Math.round(100 * accepted * (1 - data.value[place]));
      const person = Math.round(100 * (1 - accepted));
      dots.forEach(function (dot, number) {
        const kind = number >= 100 - person ? "person" : number >= 100 - person - wrong ? "wrong" : "right";
        dot.className = "case " + kind;
      });
      out("cases").textContent = cases(place);
      cheapest.disabled = !known();
    }
    if (cheapest) {
      prices.forEach((price) => price.addEventListener("input", () => show(current)));
      cheapest.addEventListener("click", function () {
        const bills = data.coverage.map((_, place) => cost(place, data.value[place]));
        // Of equal costs the one that asks the fewest people.
        choose(bills.lastIndexOf(Math.min(...bills)));
      });
    }
    part.hidden = false;
    return show;
  }

  // Draws the operating point into the figure; returns the function that moves it.
  function marker(svg, data) {
    const space = "http://www.w3.org/2000/svg";
    const group = document.createElementNS(space, "g");
    const line = document.createElementNS(space, "line");
    const dot = document.createElementNS(space, "circle");
    const [left, right, top, bottom] = data.area;
    const [x0, x1, y1, y0] = data.limits;
    group.setAttribute("class", "marker");
    line.setAttribute("y1", top);
    line.setAttribute("y2", bottom);
    dot.setAttribute("r", 5.5);
    group.append(line, dot);
    svg.append(group);
    return function (place) {
      const x = left + (right - left) * (data.coverage[place] - x0) / (x1 - x0);
      const y = bottom + (top - bottom) * (data.value[place] - y0) / (y1 - y0);
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", Math.min(Math.max(y, top), bottom));
    };
  }

  // Counts the examples within a range of the map, by pointer or by numbers, and filters the
  // gallery by it; returns the function that moves the threshold.
  function doubt(part, within) {
    const data = JSON.parse(document.getElementById("doubt-data").textContent);
    const svg = part.querySelector("svg[role=img]");
    const form = part.querySelector("[data-brush]");
    const out = part.querySelector("[data-inside]");
    const tops = [data.entropy, data.information];
    const [left, right, top, bottom] = data.area;
    const [x0, x1, y1, y0] = data.limits;
    const scale = [(right - left) / (x1 - x0), (top - bottom) / (y1 - y0)];
    const origin = [left - x0 * scale[0], bottom - y0 * scale[1]];
    const kinds = data.kinds.map((kind) => ({
      name: kind.name,
      counts: kind.counts,
      total: kind.counts.reduce((sum, number) => sum + number, 0),
      bytes: Uint8Array.from(atob(kind.cells), (letter) => letter.charCodeAt(0)),
    }));
    const box = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
    box.setAttribute("class", "brush");
    const fields = [...form.querySelectorAll("input")];
    const cell = (value, axis) => Math.round(255 * Math.min(Math.max(value / tops[axis], 0), 1));

    // The range as cells, [[first, last] of entropy, the same of information]; null for all.
    function range() {
      if (fields.every((field) => field.value === "")) return null;
      return [0, 1].map((axis) => [
        fields[2 * axis].value === "" ? 0 : cell(Number(fields[2 * axis].value), axis),
        fields[2 * axis + 1].value === "" ? 255 : cell(Number(fields[2 * axis + 1].value), axis),
      ]);
    }
    const holds = (ends, column, row) => column >= ends[0][0] && column <= ends[0][1]
      && row >= ends[1][0] && row <= ends[1][1];
    function inside(kind, ends) {
      return kind.counts.reduce((sum, number, place) =>
        sum + (holds(ends, kind.bytes[2 * place], kind.bytes[2 * place + 1]) ? number : 0), 0);
    }
    function show() {
      const ends = range();
      const kept = within(ends && ((entropy, information) =>
        holds(ends, cell(entropy, 0), cell(information, 1))));
      box.style.display = ends ? "" : "none";
      if (!ends) {
        out.textContent = "All examples. Draw a range on the map, or type one, to filter the gallery.";
        return;
      }
      const [[c0, c1], [r0, r1]] = ends;
      const at = (step, axis) => origin[axis] + scale[axis] * tops[axis] * step / 255;
      const size = (first, last, axis) => Math.abs(at(last + 0.5, axis) - at(first - 0.5, axis));
      box.setAttribute("x", at(c0 - 0.5, 0));
      box.setAttribute("y", at(r1 + 0.5, 1));
      box.setAttribute("width", c1 < c0 ? 0 : size(c0, c1, 0));
      box.setAttribute("height", r1 < r0 ? 0 : size(r0, r1, 1));
      out.textContent = "Within: " + kinds.map((kind) =>
        count(inside(kind, ends)) + " of " + count(kind.total) + " " + kind.name).join(", ")
        + ". The gallery holds " + count(kept) + " of them.";
    }
    function point(event) {
      const found = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      return [found.x, found.y].map((place, axis) => Math.max((place - origin[axis]) / scale[axis], 0));
    }
    let start = null;
    svg.addEventListener("pointerdown", function (event) {
      start = point(event);
      svg.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    svg.addEventListener("pointermove", function (event) {
      if (!start) return;
      const end = point(event);
      [0, 1].forEach(function (axis) {
        const ends = [start[axis], end[axis]].sort((a, b) => a - b);
        ends.forEach((value, side) => { fields[2 * axis + side].value = value.toPrecision(3); });
      });
      show();
    });
    ["pointerup", "pointercancel"].forEach((name) => svg.addEventListener(name, () => { start = null; }));
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(show));
    form.hidden = false;
    show();
    const line = svg.querySelector("[id$=threshold]");
    const first = Number(part.dataset.map);
    return function (value) {
      line.setAttribute("transform", "translate(" + scale[0] * (value - first) + " 0)");
    };
  }

  // Lets the passes of an example fall into their classes, one after the other.
  function watch(stage, gallery) {
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const lanes = stage.querySelector("[data-lanes]");
    const about = stage.querySelector("[data-about]");
    const replay = stage.querySelector("[data-replay]");
    const said = stage.querySelector("[data-said]");
    const passing = stage.querySelector("[data-pass]");
    const buttons = [...gallery.querySelectorAll("[data-votes]")];
    let chosen = buttons.find((button) => button.dataset.index === stage.dataset.watch);
    let timer = 0;

    function element(name, text = "", label = "") {
      const made = document.createElement(name);
      made.textContent = text;
      made.className = label;
      return made;
    }
    function row([name, , isTrue]) {
      const made = element("li");
      const title = element("span", "", "lane-name");
      title.append(element("bdi", name), isTrue ? " \u2713" : "");
      made.append(title, element("span", "", "lane"), element("span", "0", "n"));
      return made;
    }
    function finish(rows, made) {
      rows.forEach(([, passes], place) => { made[place].querySelector(".n").textContent = count(passes); });
      said.textContent = "Example " + chosen.dataset.index + ": " + rows.map(([name, passes, isTrue]) =>
        count(passes) + (passes === 1 ? " pass says " : " passes say ") + name
        + (isTrue ? ", the true class" : "")).join("; ") + ".";
    }
    function play() {
      const rows = JSON.parse(chosen.dataset.votes);
      const made = rows.map(row);
      const falls = Uint8Array.from(atob(chosen.dataset.passes), (letter) => letter.charCodeAt(0));
      const drop = (place) => made[place].querySelector(".lane").append(element("i"));
      clearTimeout(timer);
      said.textContent = passing.textContent = "";
      lanes.replaceChildren(...made);
      if (still.matches) {
        falls.forEach(drop);
        finish(rows, made);
        return;
      }
      const shown = rows.map(() => 0);
      (function next(step) {
        if (step === falls.length) {
          finish(rows, made);
          return;
        }
        const place = falls[step];
        drop(place);
        shown[place] += 1;
        made[place].querySelector(".n").textContent = count(shown[place]);
        passing.textContent = "Pass " + count(step + 1);
        timer = setTimeout(next, Math.max(20, 3000 / falls.length), step + 1);
      })(0);
    }
    buttons.forEach(function (button) {
      button.hidden = false;
      button.addEventListener("click", function () {
        chosen = button;
        const tile = button.closest(".tile");
        const picture = stage.querySelector("img");
        if (picture) picture.src = tile.querySelector("img").src;
        about.textContent = "Example " + button.dataset.index;
        stage.scrollIntoView({ block: "center", behavior: still.matches ? "auto" : "smooth" });
        replay.focus({ preventScroll: true });
        play();
      });
    });
    replay.addEventListener("click", play);
    replay.hidden = false;
  }

  function examples(gallery, filters) {
    const page = gallery.classList.contains("rows") ? 8 : 24;
    const tiles = [...gallery.children];
    const more = document.querySelector("[data-more]");
    const upward = new Set(["index"]);
    const natural = { confident_mistakes: "confidence", largest_error: "error" };
    natural.largest_disagreement = natural.class_flipped = "disagreement";
    let limit = page;
    let within = null;

    function chosen() {
      const form = new FormData(filters);
      const [group, label] = [form.get("group"), form.get("label")];
      return tiles.filter(function (tile) {
        if (group && !tile.dataset.groups.split(" ").includes(group)) return false;
        if (label && tile.dataset.label !== label) return false;
        if (!isWithin(tile)) return false;
        return !form.get("wrong") || "wrong" in tile.dataset;
      });
    }
    function isWithin(tile) {
      const { predictiveEntropy, mutualInformation } = tile.dataset;
      return !within || within(Number(predictiveEntropy), Number(mutualInformation));
    }
    function show() {
      const name = filters.elements.sort.value;
      const field = name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
      const sign = upward.has(name) ? 1 : -1;
      const kept = chosen();
      kept.sort((a, b) => sign * (a.dataset[field] - b.dataset[field]));
      tiles.forEach((tile) => { tile.hidden = true; });
      kept.slice(0, limit).forEach((tile) => { tile.hidden = false; });
      gallery.prepend(...kept);
      const shown = Math.min(limit, kept.length);
      filters.querySelector("[data-shown]").textContent = shown + " of " + kept.length + " shown";
      more.hidden = kept.length <= limit;
    }
    function regroup() {
      const group = new FormData(filters).get("group");
      const first = filters.elements.sort.options[0].value;
      const wanted = natural[group] || first;
      const known = [...filters.elements.sort.options].some((option) => option.value === wanted);
      filters.elements.sort.value = known ? wanted : first;
    }

    filters.addEventListener("change", function (event) {
      limit = page;
      if (event.target.name === "group") regroup();
      show();
    });
    filters.addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", function () {
      limit = Infinity;
      show();
    });
    filters.hidden = false;
    show();
    // Keeps the examples that a function of entropy and information admits, null for all of them;
    // returns how many there are.
    return function (admits) {
      if (admits && !within) {
        filters.querySelector("input[name=group][value='']").checked = true;
        regroup();
      }
      within = admits;
      show();
      return tiles.filter(isWithin).length;
    };
  }
})();
