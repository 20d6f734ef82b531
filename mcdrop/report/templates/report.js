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
    if (deploy) threshold(deploy);
    const gallery = document.querySelector("[data-gallery]");
    if (gallery) examples(gallery, document.querySelector("[data-filters]"));
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

  function threshold(deploy) {
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
    const start = data.coverage.findIndex((value) => value >= 0.9);
    slider.value = start < 0 ? data.coverage.length - 1 : start;
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
      const digits = (of) => (ends ? digitsOf(ends.map(of), 1) : 1);
      const ofWrong = digits((accuracy) => 100 * accepted * (1 - accuracy));
      const among = (share) => percent(share, ofWrong).replace("%", "");
      const wrong = (accuracy) => among(accepted * (1 - accuracy));
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

  function examples(gallery, filters) {
    const page = gallery.classList.contains("rows") ? 8 : 24;
    const tiles = [...gallery.children];
    const more = document.querySelector("[data-more]");
    const upward = new Set(["index"]);
    const natural = { confident_mistakes: "confidence", largest_error: "error" };
    natural.largest_disagreement = natural.class_flipped = "disagreement";
    let limit = page;

    function chosen() {
      const form = new FormData(filters);
      const [group, label] = [form.get("group"), form.get("label")];
      return tiles.filter(function (tile) {
        if (group && !tile.dataset.groups.split(" ").includes(group)) return false;
        if (label && tile.dataset.label !== label) return false;
        return !form.get("wrong") || "wrong" in tile.dataset;
      });
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
  }
})();
