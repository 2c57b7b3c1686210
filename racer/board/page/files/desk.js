"use strict";
// Hands in an entry and tells how it stands. All words of others are set as text.

const desk = document.getElementById("desk"), answer = document.getElementById("answer");
const queue = document.getElementById("queue"), MOST = 64e6;

function say(text, isBad) {
  answer.textContent = text;
  answer.className = isBad ? "bad" : "";
}

function line(ticket) {
  const item = document.createElement("li"), state = document.createElement("b");
  const told = document.createElement("span");
  item.className = ticket.state;
  state.textContent = ticket.state === "refused" ? `refused: ${ticket.code}` : ticket.state;
  const name = ticket.name || `entry ${ticket.number}`;
  told.textContent = ` ${name} in ${ticket.season}${ticket.said ? `: ${ticket.said}` : ""}`;
  item.append(state, told);
  if (ticket.state === "judging") {
    const bar = document.createElement("progress");
    if (ticket.all) { bar.max = ticket.all; bar.value = ticket.done; }
    item.append(bar);
  }
  if (ticket.row && !document.querySelector(`a[href="entry-${ticket.row}.html"]`)) {
    const link = document.createElement("a");
    link.href = "";
    link.textContent = " show the new standing";
    item.append(link);
  }
  return item;
}

async function poll() {
  let wait = 5000;
  try {
    const tickets = await (await fetch("/queue.json")).json();
    queue.replaceChildren(...tickets.map(line));
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
  say("Sending ...");
  try {
    const reply = await fetch(`/entries?season=${desk.dataset.season}`, {
      method: "POST", headers: { "Content-Type": "application/zip" }, body: file,
    });
    const told = await reply.json();
    say(reply.ok ? `Taken as number ${told.number}.` : `Not taken: ${told.code}. ${told.said}`, !reply.ok);
    if (reply.ok) desk.reset();
  } catch {
    say("The server cut it off, or does not answer.", true);
  }
  poll();
});
poll();
