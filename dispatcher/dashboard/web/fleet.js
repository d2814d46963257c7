// What is known of the fleet as a whole, for the header and for views.

import { events, get } from './api.js';

class Fleet extends EventTarget {
  document = null;

  /** Fetches it. */
  async load() {
    const document = await get('api/fleet');
    this.#take(document);
    return document;
  }

  /** Whether this browser may do that: `read`, `act` or `submit`. */
  may(what) {
    return this.document?.may[what] ?? false;
  }

  /** Whether to offer actions at all. */
  get offersActions() {
    return this.may('act');
  }

  #take(document) {
    const before = JSON.stringify(this.document?.may);
    this.document = document;
    this.dispatchEvent(new Event('change'));
    if (before !== JSON.stringify(document.may)) this.dispatchEvent(new Event('rights'));
  }

  constructor() {
    super();
    events.addEventListener('fleet', ({ detail }) => this.#take({ ...this.document, ...detail }));
  }
}

export const fleet = new Fleet();
