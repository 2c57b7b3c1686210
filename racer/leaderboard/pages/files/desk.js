"use strict";
// Submits an entry and shows its state. Every text from the server is set as text, never as HTML.

const desk = document.getElementById("desk"), answer = document.getElementById("answer");
const queue = document.getElementById("queue"), MOST = 64e6;
let mine = 0, renewed = null;

function say(text, isBad) {
  answer.textContent = text;
  answer.className = isBad ? "bad" : "";
}

function placeOf(ticket) {
  return ticket.place ? `place ${ticket.place} of ${ticket.of}` : "not in the standing";
}

function line(ticket) {
  const item = document.createElement("li"), state = document.createElement("b");
  const told = document.createElement("span");
  item.className = ticket.state;
  state.textContent = ticket.state === "refused" ? `refused: ${ticket.code}`
    : ticket.state === "done" ? placeOf(ticket) : ticket.state;
  const name = ticket.name || `upload ${ticket.number}`;
  told.textContent = ` ${name} in ${ticket.season}${ticket.said ? `: ${ticket.said}` : ""}`;
  item.append(state, told);
  if (ticket.state === "judging") {
    const bar = document.createElement("progress");
    if (ticket.all) { bar.max = ticket.all; bar.value = ticket.done; }
    item.append(bar);
  }
  if (ticket.row && ticket.season === desk.dataset.name) {
    const link = document.createElement("a");
    link.href = `entry-${ticket.row}.html`;
    link.textContent = " watch it race";
    item.append(link);
  }
  return item;
}

/** Replace the ranking by that of this page's newest version; the replay is left as it is. */
async function renew() {
  const text = await (await fetch(location.pathname)).text();
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const id of ["facts", "standing"]) {
    const fresh = page.getElementById(id), old = document.getElementById(id);
    if (fresh && old) old.replaceWith(document.importNode(fresh, true));
  }
}

/** Show the result of the entry that was submitted on this page. */
function tell(tickets) {
  const ticket = tickets.find((one) => one.number === mine);
  if (!ticket || ticket.state === "waiting") return;
  if (ticket.state === "judging") { say(`${ticket.name} is judged ...`); return; }
  const isDone = ticket.state === "done";
  say(isDone ? `${ticket.name}: ${placeOf(ticket)}.` : `Refused: ${ticket.code}. ${ticket.said}`, !isDone);
  mine = 0;
}

async function poll() {
  let wait = 5000;
  try {
    const tickets = await (await fetch("/queue.json")).json();
    queue.replaceChildren(...tickets.map(line));
    const rows = tickets.filter((one) => one.row).map((one) => one.row).join();
    if (renewed !== null && rows !== renewed) await renew();
    renewed = rows;
    tell(tickets);
    if (tickets.some((one) => one.state === "waiting" || one.state === "judging")) wait = 500;
  } catch {
    say("The server does not answer.", true);
  }
  clearTimeout(poll.timer);
  poll.timer = setTimeout(poll, wait);
}

desk.addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = document.getElementById("file").files[0];
  if (!file) return;
  if (file.size > MOST) { say("An entry has up to 64 MB.", true); return; }
  const name = document.getElementById("name").value.trim();
  const asked = new URLSearchParams({ season: desk.dataset.season, ...(name && { name }) });
  say("Sending ...");
  try {
    const reply = await fetch(`/entries?${asked}`, {
      method: "POST", headers: { "Content-Type": "application/zip" }, body: file,
    });
    const told = await reply.json();
    const queued = told.ahead ? `${told.ahead} before it` : "it is judged next";
    say(reply.ok ? `Received as upload ${told.number}: ${queued}.` : `Not taken: ${told.code}. ${told.said}`, !reply.ok);
    if (reply.ok) {
      mine = told.number;
      desk.reset();
    }
  } catch {
    say("The server cut it off, or does not answer.", true);
  }
  poll();
});
poll();
