// What pages can do beyond links and forms. Without it everything works, except that lists do not
// grow by themselves, and times are in UTC.

/** Times in the reader's own zone, with UTC in the title. */
function localiseTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.dataset.local = "";
    time.textContent = format.format(at);
  }
}

/** Buttons that copy the text of another element. */
function showCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false;
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  if (!source) return;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it and copy";
  }
  setTimeout(() => { button.textContent = label; }, 2000);
}

/** The forms that were sent, each with what takes back what that has changed. */
const sent = new Map();

/** A form that changes something is sent once. One that takes long shows the seconds that pass. */
function sendOnce(event) {
  const form = event.target;
  if (sent.has(form)) {
    event.preventDefault();
    return;
  }
  // The browser reads the button's value first.
  const disables = setTimeout(() => {
    for (const button of submitButtons(form)) button.disabled = true;
  });
  const undoes = [() => clearTimeout(disables)];
  if (form.dataset.wait) undoes.push(showSeconds(form));
  sent.set(form, () => undoes.forEach((undo) => undo()));
}

/** Says what the form waits for, and counts the seconds. Returns what takes that back. */
function showSeconds(form) {
  const place = document.createElement("p");
  place.className = "quiet";
  const [sentence, seconds] = [document.createElement("span"), document.createElement("span")];
  sentence.setAttribute("role", "status");
  seconds.setAttribute("aria-hidden", "true");
  place.append(sentence, " ", seconds);
  form.append(place);
  const began = Date.now();
  const count = () => { seconds.textContent = `${Math.round((Date.now() - began) / 1000)} s`; };
  count();
  const counting = setInterval(count, 1000);
  // A screen reader finds the empty status first.
  const begins = setTimeout(() => { sentence.textContent = form.dataset.wait; });
  return () => {
    clearInterval(counting);
    clearTimeout(begins);
    place.remove();
  };
}

function submitButtons(form) {
  return [...form.elements].filter((control) => control.type === "submit");
}

/** A page that is shown again, as by the button that goes back, has forms that can be sent. Some
 * browsers keep even the buttons of a page that they load again disabled. */
function canBeSentAgain(event) {
  if (sent.size > 0 && !event.persisted) return;
  for (const undo of sent.values()) undo();
  sent.clear();
  for (const form of document.querySelectorAll("form[method=post]")) {
    for (const button of submitButtons(form)) button.disabled = false;
  }
}

const twoDigits = (number) => String(number).padStart(2, "0");

/** A moment as a field for times has it, in the reader's own zone. */
function asEntered(at) {
  const date = [at.getFullYear(), twoDigits(at.getMonth() + 1), twoDigits(at.getDate())];
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits);
  return `${date.join("-")}T${time.join(":")}`;
}

/** Fields for times, which have UTC in the page, show the reader's own time. A hidden field sends
 * UTC in their place. */
function localiseFields() {
  for (const field of document.querySelectorAll("input[type=datetime-local][data-utc]")) {
    const utc = field.defaultValue;
    const at = new Date(`${utc}Z`);
    const hidden = document.createElement("input");
    hidden.type = "hidden";
    hidden.name = field.name;
    field.removeAttribute("name");
    field.value = Number.isNaN(at.getTime()) ? "" : asEntered(at);
    const shown = field.value;
    field.after(hidden);
    const follow = () => {
      const entered = new Date(field.value);
      // What nobody has changed stays, also where the clocks go back and a time is there twice.
      if (field.value === shown) hidden.value = utc;
      else hidden.value = field.value ? entered.toISOString().slice(0, 19) : "";
    };
    follow();
    field.addEventListener("input", follow);
    field.addEventListener("change", follow);
    for (const label of field.labels) {
      label.textContent = label.textContent.replace("UTC", "your time");
    }
  }
}

/** Counts down to the end of something. */
function countDown(root) {
  for (const place of root.querySelectorAll("[data-until]")) {
    const left = Math.floor((new Date(place.dataset.until) - Date.now()) / 1000);
    if (Number.isNaN(left)) continue;
    const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
    const parts = hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min ${seconds} s` : `${seconds} s`;
    place.textContent = left > 0 ? `${parts} left` : "ended";
  }
}

/** The matrix: Ctrl and an arrow key go to the next cell. */
function moveInMatrix(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  const cell = event.target.closest?.(".matrix td");
  if (!step || !cell || !event.ctrlKey) return;
  const row = cell.parentElement;
  const rows = [...row.parentElement.children];
  const next = rows[rows.indexOf(row) + step[0]]?.children[[...row.children].indexOf(cell) + step[1]];
  const control = next?.querySelector("select");
  if (control) {
    event.preventDefault();
    control.focus();
  }
}

/** The form of settings: what is empty follows the profile that is chosen. */
function followProfile(select) {
  const [chosen] = select.selectedOptions;
  const isOfWorkspace = (option) => option.value !== "" && chosen.textContent.includes(`(${option.value})`);
  const profile = chosen.value ? chosen : [...select.options].find(isOfWorkspace);
  for (const [name, text] of Object.entries(JSON.parse(profile?.dataset.defaults ?? "{}"))) {
    const field = select.form.elements[name];
    const first = field?.options?.[0];
    if (first?.value === "") first.textContent = text ? `Default (${text})` : "Default";
    else if (field?.tagName === "INPUT") field.placeholder = text;
  }
}

/** Makes a part of the page like a newer version of it. Only what differs is put in, moved, taken
 * away or written anew, so that the focus, a selection and what is open stay. Says whether anything
 * differed. */
function renew(old, fresh) {
  const changes = [renewAttributes(old, fresh)];
  const pairs = pairsOf(old, fresh);
  const kept = new Set(pairs.map(([before]) => before));
  for (const child of [...old.childNodes]) {
    if (kept.has(child)) continue;
    child.remove();
    changes.push(true);
  }
  let place = old.firstChild;
  for (const [before, after] of pairs) {
    if (!before) {
      old.insertBefore(after, place);
      changes.push(true);
      continue;
    }
    if (before !== place) {
      moveTo(place, before);
      changes.push(true);
    }
    place = before.nextSibling;
    if (before.nodeType === Node.ELEMENT_NODE) changes.push(renew(before, after));
    else if (before.data !== after.data) {
      before.data = after.data;
      changes.push(true);
    }
  }
  return changes.includes(true);
}

/** Each child of the newer version with the older child that it follows: the one with the same id,
 * or the next one of its kind without an id. */
function pairsOf(old, fresh) {
  const isNamed = (node) => Boolean(node.id);
  const named = new Map([...old.children].filter(isNamed).map((child) => [child.id, child]));
  const others = [...old.childNodes].filter((child) => !isNamed(child));
  return [...fresh.childNodes].map((after) => {
    const at = others.findIndex((child) => child.nodeName === after.nodeName);
    const before = isNamed(after) ? named.get(after.id) : others.splice(at, at < 0 ? 0 : 1)[0];
    return [before?.nodeName === after.nodeName ? before : undefined, after];
  });
}

/** Brings a child to a place among its siblings. A child that somebody is in is not moved itself,
 * because it would lose the focus. */
function moveTo(place, child) {
  if (!child.contains(document.activeElement)) {
    place.before(child);
    return;
  }
  const end = child.nextSibling;
  for (let other = place; other !== child;) {
    const next = other.nextSibling;
    child.parentNode.insertBefore(other, end);
    other = next;
  }
}

function renewAttributes(old, fresh) {
  // The reader opens and closes details.
  const isReaders = (name) => name === "open" && old.nodeName === "DETAILS";
  if (old.classList.contains("new")) fresh.classList.add("new");
  let isChanged = false;
  for (const { name, value } of fresh.attributes) {
    if (isReaders(name) || old.getAttribute(name) === value) continue;
    old.setAttribute(name, value);
    isChanged = true;
  }
  for (const { name } of [...old.attributes]) {
    if (isReaders(name) || fresh.hasAttribute(name)) continue;
    old.removeAttribute(name);
    isChanged = true;
  }
  return isChanged;
}

/** Marks the children of a live part that it did not have yet, and returns how many they are. */
function markNew(part, fresh) {
  const known = new Set([...part.children].map((child) => child.id));
  const added = [...fresh.children].filter((child) => child.id && !known.has(child.id));
  for (const child of added) child.classList.add("new");
  return added.length;
}

/** The text of a live part that is read out when it changes, if there is one. */
function saying(part) {
  return part.querySelector("[data-said]")?.textContent.trim();
}

/** A part of the page that is read again every few seconds, while somebody looks at it. The longer
 * nothing happens, the less often it is read; after half an hour no more. */
function live(part) {
  const began = Date.now();
  let quiet = 0;
  const read = async () => {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(part.id);
    if (!fresh) {
      quiet += 1;
      return;
    }
    enliven(fresh);
    const said = saying(part);
    const added = markNew(part, fresh);
    if (!renew(part, fresh)) {
      quiet += 1;
      return;
    }
    quiet = 0;
    if (part.matches("ul, ol")) {
      if (added) announce(`${added} new`);
      return;
    }
    const says = saying(part);
    if (says === undefined || says !== said) announce(says ?? "The page has changed.");
  };
  const again = () => {
    const seconds = Number(part.dataset.live);
    if (!seconds || Date.now() - began > 30 * 60_000) return;
    setTimeout(async () => {
      if (!document.hidden) await read().catch(() => { quiet += 5; });
      again();
    }, seconds * 1000 * Math.min(1 + quiet / 20, 10));
  };
  again();
}

/** What only the script can show in a part of a page. */
function enliven(root) {
  localiseTimes(root);
  showCopyButtons(root);
  countDown(root);
}

/** The place of what is read out. It is there, and empty, before anything is. */
const announcements = document.createElement("p");
announcements.id = "announcements";
announcements.className = "sr";
announcements.setAttribute("role", "status");

function announce(text) {
  announcements.textContent = text;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
});
document.addEventListener("submit", (event) => {
  if (event.target.matches("form[method=post]")) sendOnce(event);
});
document.addEventListener("change", (event) => {
  if (event.target.matches("select:has(option[data-defaults])")) followProfile(event.target);
});
document.addEventListener("keydown", moveInMatrix);
addEventListener("pageshow", canBeSentAgain);
localiseFields();
enliven(document);
setInterval(countDown, 1000, document);
const parts = document.querySelectorAll("[data-live]");
if (parts.length > 0) document.body.append(announcements);
parts.forEach(live);
