// What pages can do beyond links and forms. Without it everything works, except that lists do not
// grow by themselves.

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

/** A form that takes long shows the seconds that pass, and is sent once. */
function wait(form) {
  const button = form.querySelector("button[type=submit]");
  const status = document.createElement("p");
  status.setAttribute("role", "status");
  status.className = "quiet";
  form.append(status);
  const began = Date.now();
  const show = () => {
    status.textContent = `${form.dataset.wait} ${Math.round((Date.now() - began) / 1000)} s`;
  };
  show();
  setInterval(show, 1000);
  // The browser reads the button's value first.
  setTimeout(() => { if (button) button.disabled = true; });
}

/** Counts down to the end of something. */
function countDown() {
  for (const place of document.querySelectorAll("[data-until]")) {
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

/** The markup of live parts and of their children, as it came. */
const sources = new WeakMap();

function remember(part) {
  sources.set(part, part.innerHTML);
  for (const child of part.children) sources.set(child, child.outerHTML);
}

/** Puts a newer version of a live part in the place of the old one, child by child. Returns the
 * number of new children. */
function renew(part, fresh) {
  remember(fresh);
  const known = new Map([...part.children].map((child) => [child.id, child]));
  let added = 0;
  const children = [...fresh.children].map((child) => {
    const before = child.id ? known.get(child.id) : undefined;
    if (!before) {
      if (child.id) {
        child.classList.add("new");
        added += 1;
      }
      return child;
    }
    // What somebody is in stays as it is.
    const stays = sources.get(before) === sources.get(child) || before.contains(document.activeElement);
    return stays ? before : child;
  });
  part.replaceChildren(...children);
  sources.set(part, sources.get(fresh));
  if (fresh.dataset.live === undefined) delete part.dataset.live;
  return added;
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
    if (!fresh || fresh.innerHTML === sources.get(part)) {
      quiet += 1;
      return;
    }
    quiet = 0;
    const added = renew(part, fresh);
    localiseTimes(part);
    showCopyButtons(part);
    if (added) announce(`${added} new`);
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

function announce(text) {
  let place = document.getElementById("announcements");
  if (!place) {
    place = document.createElement("p");
    place.id = "announcements";
    place.className = "sr";
    place.setAttribute("role", "status");
    document.body.append(place);
  }
  place.textContent = text;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
});
document.addEventListener("submit", (event) => {
  if (event.target.matches("form[data-wait]")) wait(event.target);
});
document.addEventListener("change", (event) => {
  if (event.target.matches("select:has(option[data-defaults])")) followProfile(event.target);
});
document.addEventListener("keydown", moveInMatrix);
const parts = document.querySelectorAll("[data-live]");
parts.forEach(remember);
localiseTimes(document);
showCopyButtons(document);
countDown();
setInterval(countDown, 1000);
parts.forEach(live);
