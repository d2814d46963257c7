// Pictures on their way to the server, a few at a time.

import { upload } from '../api.js';

const AT_ONCE = 3;
const IMAGE = /\.(jpe?g|png|tiff?|webp|gif|bmp|avif|heic|heif|jxl)$/i;

export class Uploads extends EventTarget {
  /** Each `{ name, file, url, state, sha256, reason }`; `state` is waiting, under way, done or failed. */
  items = [];
  #active = 0;

  /** Adds files; those that are no pictures by their names are passed over. Says how many those were. */
  add(files) {
    const pictures = [...files].filter((file) => file.type.startsWith('image/') || IMAGE.test(file.name));
    for (const file of pictures) this.items.push({ name: file.name, file, url: URL.createObjectURL(file), state: 'waiting' });
    this.#go();
    return files.length - pictures.length;
  }

  /** Takes one off the list. */
  remove(item) {
    this.items = this.items.filter((other) => other !== item);
    URL.revokeObjectURL(item.url);
    this.#changed();
  }

  /** Removes all. */
  clear() {
    for (const { url } of this.items) URL.revokeObjectURL(url);
    this.items = [];
    this.#changed();
  }

  /** Tries again what failed. */
  retry() {
    for (const item of this.items) if (item.state === 'failed') item.state = 'waiting';
    this.#go();
  }

  /** Those that the server has. */
  get done() {
    return this.items.filter(({ state }) => state === 'done');
  }

  /** Whether some are still on their way. */
  get isBusy() {
    return this.items.some(({ state }) => state === 'waiting' || state === 'under way');
  }

  #go() {
    this.#changed();
    while (this.#active < AT_ONCE) {
      const next = this.items.find(({ state }) => state === 'waiting');
      if (!next) return;
      this.#upload(next);
    }
  }

  async #upload(item) {
    item.state = 'under way';
    this.#active += 1;
    try {
      Object.assign(item, await upload(item.file, item.name), { state: 'done' });
    } catch (error) {
      Object.assign(item, { state: 'failed', reason: error.message });
    }
    this.#active -= 1;
    this.#go();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

/** The files of a drop, with those in folders. */
export async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files];
  return (await Promise.all(entries.map(filesIn))).flat();
}

async function filesIn(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  // It gives a hundred at a time, and none in the end.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    for (const inner of some) found.push(...(await filesIn(inner)));
  }
}
