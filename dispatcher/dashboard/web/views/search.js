// Batches and results by name, or by the beginning of an id.

import { get } from '../api.js';
import { fill, h } from '../dom.js';
import { count, plural } from '../format.js';
import { hash, problemLine, viewHeader } from '../widgets/parts.js';
import { createResult, updateResult } from '../widgets/result.js';
import { createBatch, updateBatch } from './batches.js';

export function searchView({ main, query, signal }) {
  const q = query.get('q') ?? '';
  document.getElementById('search').q.value = q;
  const [problem, tell] = problemLine();
  const found = h('div', {});
  const note = h('span', { class: 'note', role: 'status' });
  main.append(viewHeader(`Search: ${q}`, note), problem, found);

  const load = async () => {
    try {
      const { batches, results, total } = await get('api/search', { q }, signal);
      note.textContent = `${plural(batches.length, 'batch', 'batches')}, ${plural(total, 'result')}`;
      fill(found, ...batches.map(batchItem), ...results.map(resultItem));
      if (total > results.length) found.append(h('p', { class: 'note' }, `The first ${count(results.length)} of ${count(total)}: search for more of the name, or within a batch.`));
      tell(null);
    } catch (error) {
      if (error.name !== 'AbortError') tell(error);
    }
  };
  return { title: `Search: ${q}`, reload: load, ready: load() };
}

function batchItem(batch) {
  const element = createBatch();
  updateBatch(element, batch);
  return element;
}

function resultItem(result) {
  const element = createResult();
  updateResult(element, result);
  element.parts.name.after(h('span', { class: 'notes' }, 'in ', h('a', { href: hash(['batches', result.batch]) }, result.batch)));
  return h('div', { class: 'rows' }, element);
}
