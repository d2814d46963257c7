// The preset and the parameters beside it: the main dials first, all others behind a fold.

import { fill, h, setText } from '../dom.js';

const MAIN = ['size', 'strength', 'evaluations', 'style_scale', 'keep_colors', 'seed'];

export class Dials extends EventTarget {
  /** `draft` has the `preset`, and in `parameters` what was given beside it. */
  constructor(options, draft) {
    super();
    this.options = options;
    this.draft = draft;
    this.help = h('p', { class: 'note', id: 'preset-help' });
    const preset = h('select', { 'aria-describedby': 'preset-help' }, ...options.presets.map(({ name }) => h('option', { selected: name === draft.preset }, name)));
    preset.addEventListener('change', () => {
      draft.preset = preset.value;
      this.#show();
    });
    const byField = new Map(options.parameters.map((parameter) => [parameter.field, parameter]));
    const main = MAIN.map((field) => byField.get(field)).filter(Boolean);
    const rest = Map.groupBy(options.parameters.filter(({ field }) => !MAIN.includes(field)), ({ heading }) => heading);
    this.inputs = [];
    this.given = h('span', { class: 'note' });
    const folds = [...rest].map(([heading, parameters]) => h('fieldset', {}, h('legend', {}, heading), h('div', { class: 'dials' }, ...parameters.map((parameter) => this.#dial(parameter)))));
    this.element = h(
      'div',
      {},
      h('div', { class: 'dials' }, h('label', {}, 'Preset', preset)),
      this.help,
      h('div', { class: 'dials' }, ...main.map((parameter) => this.#dial(parameter))),
      h('details', {}, h('summary', {}, 'All parameters ', this.given), ...folds),
    );
    this.#show();
  }

  #dial(parameter) {
    const { field, help, value } = parameter;
    const [first, ...more] = help.split('\n\n');
    const short = first.replace(/ \[default: .*\]$/, ''); // the field shows it
    const choices = choicesOf(parameter);
    const id = `dial-${field}`;
    const described = h('span', { class: 'note', id }, short);
    const input = choices
      ? h('select', { 'aria-describedby': id }, h('option', { value: '' }), ...choices.map((choice) => h('option', { value: choice }, choice)))
      : h('input', { 'aria-describedby': id, autocomplete: 'off', spellcheck: 'false', inputmode: ['N', 'X'].includes(value) ? 'decimal' : null });
    input.value = this.draft.parameters[field] ?? '';
    input.addEventListener('input', () => {
      const given = input.value.trim();
      if (given) this.draft.parameters[field] = given;
      else delete this.draft.parameters[field];
      this.#show();
    });
    this.inputs.push({ parameter, input });
    return h('label', { title: more.join('\n') }, field.replaceAll('_', ' '), input, described);
  }

  #show() {
    const { preset, parameters } = this.draft;
    setText(this.help, this.options.presets.find(({ name }) => name === preset)?.help ?? '');
    const hidden = Object.keys(parameters).filter((field) => !MAIN.includes(field));
    setText(this.given, hidden.length ? `(${hidden.length} given)` : '');
    for (const { parameter, input } of this.inputs) {
      const usual = parameter.defaults?.[preset] ?? '';
      if (input.tagName === 'INPUT') input.placeholder = usual;
      else fill(input.firstElementChild, usual ? `${usual} (preset)` : 'preset’s');
      input.classList.toggle('given', parameter.field in parameters);
    }
    this.dispatchEvent(new Event('change'));
  }
}

// Words to choose from, where a parameter has some.
function choicesOf({ value, choices }) {
  if (choices?.length) return choices;
  return value === 'true|false' ? ['true', 'false'] : null;
}
