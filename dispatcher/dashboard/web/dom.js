// Making and changing elements. Data from the server becomes text nodes and attributes, never
// markup: names of files and batches are hostile until shown otherwise.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An element. `properties` are attributes, but for `class`, `on` (listeners by event) and `style`
 * (set through the CSSOM, which the content security policy allows). Children that are null or
 * false are left out.
 */
export function h(tag, properties, ...children) {
  return build(document.createElement(tag), properties, children);
}

/** The same of SVG. */
export function s(tag, properties, ...children) {
  return build(document.createElementNS(SVG, tag), properties, children);
}

function build(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === 'style') {
      for (const [key, part] of Object.entries(value)) element.style.setProperty(key, part);
    } else if (name.startsWith('aria-') && typeof value === 'boolean') {
      element.setAttribute(name, String(value));
    } else if (value === true) {
      element.setAttribute(name, '');
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value);
    }
  }
  element.append(...flat(children));
  return element;
}

/** Puts these children in place of those that an element has. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

function flat(children) {
  return children.flat().filter((child) => child !== null && child !== undefined && child !== false);
}

/** Sets a text only where it changes, so that a screen reader and a selection are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute only where it changes; null removes it. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * A function that calls `run` at once, then at most once in so many milliseconds and never before the
 * last call is over. Calls in between lead to one more.
 */
export function atMostEach(milliseconds, run) {
  let busy = false;
  let again = false;
  return async function call() {
    again = true;
    if (busy) return;
    busy = true;
    try {
      while (again) {
        again = false;
        await run();
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
      }
    } finally {
      busy = false;
    }
  };
}
