// What axe does not look at. Each function returns complaints in words; none of them changes the page for good.
"use strict";

window.audit = (() => {
  const ACTIVE = "a[href], button, input:not([type=hidden]), select, textarea, summary, iframe, [tabindex]";

  const name = (element) =>
    `<${element.localName}${element.id && "#" + element.id}> “${(element.innerText || element.value || element.href || "").trim().slice(0, 40)}”`;
  const ownText = (element) =>
    [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  // Said to screen readers, put away until it has the focus, or a trap for robots.
  const isAside = (element) => element.closest(".unseen, .skip, .trap, head, script, option") !== null;
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const shown = (selector) => [...document.querySelectorAll(selector)].filter((one) => isShown(one) && !isAside(one));

  function structure() {
    const found = [];
    const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(isShown);
    const titles = headings.filter((heading) => heading.localName === "h1");
    if (titles.length !== 1) found.push(`${titles.length} h1`);
    let before = 1;
    for (const heading of headings) {
      const level = Number(heading.localName[1]);
      if (level > before + 1) found.push(`h${level} after h${before}: ${name(heading)}`);
      if (!heading.innerText.trim()) found.push(`an empty h${level}`);
      before = level;
    }
    const frames = { main: "main", banner: "body > header", contentinfo: "body > footer" };
    if (document.querySelector("body > header")) {
      for (const [role, selector] of Object.entries(frames)) {
        const times = document.querySelectorAll(selector).length;
        if (times !== 1) found.push(`${times} landmarks ${role}`);
      }
      const skip = document.querySelector("a[href]");
      if (!skip.matches(".skip") || !document.querySelector(skip.hash)) found.push("the first link skips nothing");
    }
    const labels = [...document.querySelectorAll("nav")].map((nav) => nav.getAttribute("aria-label"));
    if (labels.includes(null) || new Set(labels).size !== labels.length) found.push(`nav: ${labels.join(", ")}`);
    for (const image of document.querySelectorAll("img:not([alt])")) found.push(`no alt: ${image.src}`);
    for (const image of document.querySelectorAll("svg:not([aria-hidden=true], [role=img])")) found.push(`svg: ${name(image.parentElement)}`);
    return found;
  }

  // Text that is cut off, or reaches over the edge of the window.
  function overflow() {
    const found = [];
    const width = document.documentElement.clientWidth;
    if (document.scrollingElement.scrollWidth > width) found.push(`scrolls to ${document.scrollingElement.scrollWidth} of ${width} px`);
    for (const element of shown("body *")) {
      const range = document.createRange();
      for (const node of ownText(element)) {
        range.selectNodeContents(node);
        const box = range.getBoundingClientRect();
        if (box.width && (box.right > width + 1 || box.left < -1)) found.push(`over the edge: ${name(element)}`);
      }
      const style = getComputedStyle(element);
      const isCut = style.overflowX !== "visible" || style.overflowY !== "visible";
      if (isCut && !element.matches("textarea, select, progress, input, main, iframe") && (element.scrollHeight > element.clientHeight + 1 || element.scrollWidth > element.clientWidth + 1)) {
        found.push(`cut off or scrolled: ${name(element)}`);
      }
      if (element.matches("button, select") && element.scrollWidth > element.clientWidth + 1) found.push(`cut off: ${name(element)}`);
    }
    return found;
  }

  // 44 pixels, but for links inside of sentences.
  function targets() {
    return shown(ACTIVE).filter((element) => {
      if (element.matches("[tabindex='-1'], iframe")) return false;
      const isInText = getComputedStyle(element).display === "inline" && ownText(element.parentElement).length > 0;
      const label = element.labels?.[0];
      const box = element.getBoundingClientRect();
      const pressed = label && element.type === "checkbox" ? label.getBoundingClientRect() : box;
      return !isInText && (Math.max(box.width, pressed.width) < 43.5 || Math.max(box.height, pressed.height) < 43.5);
    }).map((element) => {
      const box = element.getBoundingClientRect();
      return `${Math.round(box.width)} × ${Math.round(box.height)} px: ${name(element)}`;
    });
  }

  function motion() {
    const found = document.getAnimations().map(() => "an animation");
    for (const element of document.querySelectorAll("*")) {
      for (const part of [null, "::before", "::after"]) {
        const style = getComputedStyle(element, part);
        if (style.animationName !== "none" || parseFloat(style.transitionDuration) > 0 || style.scrollBehavior === "smooth") found.push(`moves: ${name(element)}`);
      }
    }
    return found;
  }

  // The browser sees to the contrast then, unless we refuse; axe is told our own colours. Backgrounds go, so edges stay.
  function forcedColours() {
    const refused = shown("*").filter((element) => getComputedStyle(element).forcedColorAdjust === "none" && !element.closest("progress"));
    const bare = shown(".button, input:not([type=checkbox]), select, textarea").filter((element) => {
      const style = getComputedStyle(element);
      return style.borderTopStyle === "none" || parseFloat(style.borderTopWidth) < 1;
    });
    return [...refused.map((element) => `keeps its colours: ${name(element)}`), ...bare.map((element) => `no edge: ${name(element)}`)];
  }

  const words = () => document.body.innerText.toLowerCase().split(/\s+/).filter(Boolean);

  // What can be read with the style sheet can be read without it.
  function withoutStyles() {
    const before = words();
    for (const sheet of document.styleSheets) sheet.disabled = true;
    const after = new Set(words());
    for (const sheet of document.styleSheets) sheet.disabled = false;
    return before.filter((word) => !after.has(word)).map((word) => `only with CSS: ${word}`);
  }

  const active = () =>
    [...document.querySelectorAll(ACTIVE)].filter((element) => element.tabIndex >= 0 && !element.disabled && isShown(element) && !element.closest(".trap"));

  function atTheStart() {
    document.activeElement.blur();
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
    scrollTo(0, 0);
    return active().length;
  }

  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  function luminance([red, green, blue]) {
    const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  }
  function contrast(one, other) {
    const [light, dark] = [luminance(channels(one)), luminance(channels(other))].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  }
  function background(element) {
    for (let at = element; at; at = at.parentElement) {
      for (const part of [null, "::before"]) {
        const style = getComputedStyle(at, part);
        if ((part === null || style.content !== "none") && (channels(style.backgroundColor)[3] ?? 1) > 0) return style.backgroundColor;
      }
    }
    return "rgb(255, 255, 255)";
  }
  // What the outline is drawn upon: the colour a little beside the element.
  function behind(element) {
    if (parseFloat(getComputedStyle(element).outlineOffset) < 0) return background(element);
    const { left, right, top, bottom } = element.getClientRects()[0];
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    for (const point of [[x, bottom + 4], [x, top - 4], [left - 4, y], [right + 4, y]]) {
      const at = document.elementFromPoint(...point);
      if (at && !element.contains(at)) return background(at);
    }
    return background(element.parentElement);
  }

  // Where the focus is: its place in the order of the page, and what is wrong with how it shows.
  function focused() {
    const element = document.activeElement;
    const found = [];
    const style = getComputedStyle(element);
    const box = element.getClientRects()[0];
    if (!box || box.bottom < 1 || box.top > innerHeight - 1 || box.right < 1 || box.left > innerWidth - 1) {
      found.push("out of sight");
    } else {
      const at = document.elementFromPoint((Math.max(box.left, 0) + Math.min(box.right, innerWidth)) / 2, (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2);
      if (at && !element.contains(at) && ![...(element.labels ?? [])].some((label) => label.contains(at))) found.push(`covered by ${name(at)}`);
    }
    if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) found.push("no outline");
    else if (!matchMedia("(forced-colors: active)").matches && contrast(style.outlineColor, behind(element)) < 3) {
      found.push(`outline ${style.outlineColor} on ${behind(element)}`);
    }
    return { place: active().indexOf(element), name: name(element), isFrame: element.localName === "iframe", found };
  }

  return { structure, overflow, targets, motion, forcedColours, withoutStyles, atTheStart, focused };
})();
