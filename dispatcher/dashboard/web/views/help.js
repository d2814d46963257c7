// The keys, in a dialog.

import { h } from '../dom.js';
import { fleet } from '../fleet.js';
import { show } from '../widgets/dialogs.js';

const KEYS = [
  ['/', 'search'],
  ['j  k', 'next and last item'],
  ['Enter', 'open it'],
  ['g then b n q w d', 'batches, new, queue, workers, dead letters'],
  ['+  −  0', 'on a picture: closer, farther, whole'],
  ['← →', 'on a divider or a chart: move it'],
  ['Esc', 'close a dialog, leave the search'],
  ['?', 'this'],
];

export function helpDialog() {
  const rows = KEYS.map(([keys, what]) => h('tr', {}, h('th', { scope: 'row' }, h('kbd', {}, keys)), h('td', {}, what)));
  const known = fleet.document;
  const about = known && `Stylefleet ${known.version}, contract ${known.contract}. Store: ${known.store}.`;
  return show('Keys', [h('table', { class: 'keys' }, h('tbody', {}, ...rows)), h('p', { class: 'note' }, about)], [h('button', { value: '', autofocus: true }, 'Close')]);
}
