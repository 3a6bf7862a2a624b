// Finds the one visible element that a person would mean. The arguments are a selector of elements, the name that a screen reader
// says for the element, and a text beside it (in the same row, item, form or section), or null.
const [selector, wanted, beside] = arguments;
// Text that only screen readers get stands apart for `innerText`, as in "Edit , webhook 7".
const tidy = (text) => (text ?? '').replace(/\s+/g, ' ').replace(/ ([,:])/g, '$1').trim();
const label = (element) => {
  const copy = element.cloneNode(true);
  copy.querySelectorAll('input, select, textarea').forEach((control) => control.remove());
  return copy.textContent;
};
const named = (element) => {
  const ids = element.getAttribute('aria-labelledby');
  if (ids) return ids.split(/\s+/).map((id) => document.getElementById(id)?.textContent).join(' ');
  if (element.hasAttribute('aria-label')) return element.getAttribute('aria-label');
  if (element.labels?.length) return [...element.labels].map(label).join(' ');
  if (element.matches('input')) return element.value;
  return tidy(element.innerText) || element.querySelector('img[alt]')?.alt || element.title;
};
const name = (element) => tidy(named(element));
if (selector === ':focus') return document.activeElement ? name(document.activeElement) : '';
const near = 'tr, li, dl, fieldset, form, article, section, details, dialog';
const places = beside === null ? [document] : [...document.querySelectorAll(near)]
  .filter((place) => tidy(place.innerText).includes(beside))
  .sort((one, other) => one.querySelectorAll('*').length - other.querySelectorAll('*').length);
for (const place of places) {
  const all = [...place.querySelectorAll(selector)].filter((element) => element.checkVisibility());
  const exact = all.filter((element) => name(element) === wanted);
  const found = exact.length ? exact : all.filter((element) => name(element).includes(wanted));
  if (found.length === 1) return found[0];
  if (found.length > 1) throw new Error(`${found.length} elements are called "${wanted}": say what is beside the one that is meant`);
}
const names = [...document.querySelectorAll(selector)].map(name).join('", "');
throw new Error(`nothing is called "${wanted}"${beside === null ? '' : ` beside "${beside}"`}: there are "${names}"`);
