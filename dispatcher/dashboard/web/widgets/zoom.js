// Zooming and moving pictures: wheel, pinch, double click, and the keys + - 0 and arrows. Panes that
// share a Zoom show the same part.

const MOST = 16;
const STEP = 1.25;

export class Zoom {
  constructor() {
    this.panes = [];
    this.reset();
  }

  /** Lets `pane` zoom the elements in it that have the class `zoomed`. */
  add(pane) {
    this.panes.push(pane);
    const touches = new Map();
    pane.addEventListener('wheel', (event) => this.#wheel(pane, event), { passive: false });
    pane.addEventListener('keydown', (event) => this.#key(pane, event));
    pane.addEventListener('dblclick', (event) => {
      if (this.scale > 1) this.reset();
      else this.#zoom(pane, 2.5, event.clientX, event.clientY);
    });
    pane.addEventListener('pointerdown', (event) => {
      if (event.target.closest('[role=slider], button, a')) return;
      touches.set(event.pointerId, event);
      pane.setPointerCapture(event.pointerId);
    });
    pane.addEventListener('pointermove', (event) => {
      const before = touches.get(event.pointerId);
      if (!before) return;
      this.#drag(pane, touches, before, event);
      touches.set(event.pointerId, event);
    });
    for (const end of ['pointerup', 'pointercancel']) {
      pane.addEventListener(end, (event) => touches.delete(event.pointerId));
    }
    this.#apply();
  }

  /** The whole picture again. */
  reset() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.#apply();
  }

  /** Zooms about the middle. */
  by(factor) {
    const pane = this.panes[0];
    if (!pane) return;
    const box = pane.getBoundingClientRect();
    this.#zoom(pane, factor, box.left + box.width / 2, box.top + box.height / 2);
  }

  // The page scrolls as ever until somebody has chosen the picture, or holds Ctrl, as a pinch on a
  // touchpad does by itself.
  #wheel(pane, event) {
    if (!event.ctrlKey && !pane.contains(document.activeElement)) return;
    event.preventDefault();
    this.#zoom(pane, Math.exp(-event.deltaY / (event.ctrlKey ? 100 : 400)), event.clientX, event.clientY);
  }

  #key(pane, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const move = moves[event.key];
    if (event.key === '+' || event.key === '=') this.by(STEP);
    else if (event.key === '-') this.by(1 / STEP);
    else if (event.key === '0') this.reset();
    else if (move && this.scale > 1 && event.target === pane) this.#move(move[0] * 40, move[1] * 40);
    else return;
    event.preventDefault();
  }

  #drag(pane, touches, before, event) {
    if (touches.size === 1) {
      if (this.scale > 1) this.#move(event.clientX - before.clientX, event.clientY - before.clientY);
      return;
    }
    const other = [...touches.values()].find((touch) => touch.pointerId !== event.pointerId);
    const distance = (touch) => Math.hypot(touch.clientX - other.clientX, touch.clientY - other.clientY);
    const factor = distance(event) / Math.max(1, distance(before));
    this.#zoom(pane, factor, (event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
  }

  #zoom(pane, factor, clientX, clientY) {
    const box = pane.getBoundingClientRect();
    const scale = Math.min(Math.max(this.scale * factor, 1), MOST);
    const [x, y] = [clientX - box.left, clientY - box.top];
    // What is under the pointer stays there.
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.#move(0, 0);
  }

  #move(x, y) {
    const { width, height } = this.panes[0].getBoundingClientRect();
    this.x = Math.min(0, Math.max(this.x + x, width * (1 - this.scale)));
    this.y = Math.min(0, Math.max(this.y + y, height * (1 - this.scale)));
    this.#apply();
  }

  #apply() {
    const transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    for (const pane of this.panes) {
      pane.classList.toggle('magnified', this.scale > 1);
      for (const picture of pane.querySelectorAll('.zoomed')) {
        picture.style.setProperty('transform', transform);
      }
    }
  }
}

/** Gives a pane the shape of the picture in it, once that has loaded. */
export function fit(pane, image) {
  image.addEventListener('load', () => pane.style.setProperty('--shape', `${image.naturalWidth} / ${image.naturalHeight}`));
}
