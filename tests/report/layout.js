// Returns what a reader would see as broken: text past the edge of the page, and texts that overlap.
const UNSEEN = ".unseen, .skip, .rail, script, style, title, desc, select";
const broken = [];

const texts = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode;
  const parent = node.parentElement;
  const shown = parent.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  if (!node.textContent.trim() || !shown || parent.closest(UNSEEN)) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  for (const box of range.getClientRects()) {
    if (box.width > 1 && box.height > 1) texts.push({ box, parent, text: node.textContent.trim().slice(0, 40) });
  }
}

const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > width) {
  const wide = texts.find(({ box }) => box.right > width + 1);
  broken.push(`wider than ${width}: ${wide ? wide.text : document.documentElement.scrollWidth}`);
}

// Less than a third of a line, or 2.5 pixels, is the air around letters.
texts.sort((one, other) => one.box.top - other.box.top);
texts.forEach((one, index) => {
  for (const other of texts.slice(index + 1)) {
    if (other.box.top >= one.box.bottom) break;
    if (one.parent === other.parent) continue;
    const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
    const down = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
    if (across > 2.5 && down > 0.35 * Math.min(one.box.height, other.box.height)) {
      broken.push(`"${one.text}" on "${other.text}"`);
    }
  }
});
return broken;
