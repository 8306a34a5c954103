// Keeps a page fresh: asks for it again and puts in what differs. Without this, people reload.
"use strict";

const EVERY_MS = document.body.dataset.refresh * 1000;
const LARGEST_LOAD = 0.05; // of the server's time, for one open page
const LONGEST_WAIT_MS = 60000;

let tag = "";
let clock = Date.parse(document.body.dataset.now) - performance.now(); // the server's, less our own
let written = false;

// Nothing moves under someone who types, points at a button, or marks text.
const isBusy = () =>
  document.hidden ||
  written ||
  getSelection().type === "Range" ||
  document.activeElement?.closest("form") ||
  document.querySelector("main details[open], main form:hover");

function morph(was, is) {
  if (was.isEqualNode(is)) return;
  if (was.nodeName !== is.nodeName || was.nodeType !== Node.ELEMENT_NODE) {
    was.replaceWith(is);
    return;
  }
  for (const { name } of [...was.attributes]) if (!is.hasAttribute(name)) was.removeAttribute(name);
  for (const { name, value } of is.attributes) was.setAttribute(name, value);
  const [old, now] = [[...was.childNodes], [...is.childNodes]];
  now.forEach((node, place) => (old[place] ? morph(old[place], node) : was.append(node)));
  old.slice(now.length).forEach((node) => node.remove());
}

// The words of page/format.py.
function age(seconds) {
  if (seconds < 1) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}

function grow() {
  for (const time of document.querySelectorAll("time")) {
    time.textContent = age((clock + performance.now() - Date.parse(time.dateTime)) / 1000);
  }
}

async function take(answer) {
  clock = Date.parse(answer.headers.get("Date")) - performance.now();
  if (answer.status === 304) {
    const taken = document.querySelector("time[data-taken]");
    if (taken) taken.dateTime = new Date(answer.headers.get("Last-Modified")).toISOString();
    return;
  }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (isBusy()) return;
  const script = fresh.querySelector("script");
  if (script?.getAttribute("src") !== document.querySelector("script").getAttribute("src")) {
    location.reload(); // the service was upgraded, or this page does not refresh any more
    return;
  }
  document.title = fresh.title;
  morph(document.body, fresh.body);
  tag = answer.headers.get("ETag");
}

async function look(wait) {
  const began = performance.now();
  if (!isBusy()) {
    try {
      const headers = tag ? { "If-None-Match": tag } : {};
      const answer = await fetch(location.href, { cache: "no-store", headers });
      if (!answer.ok && answer.status !== 304) throw new Error(answer.status);
      await take(answer);
      document.getElementById("away").hidden = true;
      wait = Math.max(EVERY_MS, (performance.now() - began) / LARGEST_LOAD);
    } catch {
      document.getElementById("away").hidden = false;
      wait *= 2;
    }
  }
  grow();
  wait = Math.min(wait, LONGEST_WAIT_MS);
  setTimeout(look, wait, wait);
}

document.addEventListener("input", () => (written = true));
setTimeout(look, EVERY_MS, EVERY_MS);
