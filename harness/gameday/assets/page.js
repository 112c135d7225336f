"use strict";
// Draws the state that the server sends, and sends what people do. What may be shown is decided by the server: this file hides nothing.
const $ = id => document.getElementById(id);
const make = (tag, fields = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), fields);
  node.append(...children);
  return node;
};
let built = false;
let faultsDrawn = "";

async function send(body) {
  const error = $("error");
  try {
    const answer = await fetch("do", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
    error.hidden = answer.ok;
    error.textContent = answer.ok ? "" : (await answer.json()).error.message;
    return answer.ok;
  } catch {
    error.hidden = false;
    error.textContent = "The game day does not answer.";
    return false;
  }
}

const button = (text, act, css = "") => make("button", {type: "button", textContent: text, className: css, onclick: act});
const field = (text, input) => make("label", {textContent: text}, input);

function form(...parts) {
  const made = make("form", {}, ...parts);
  made.onsubmit = event => event.preventDefault();
  return made;
}

function noteForm() {
  const text = make("input", {type: "text", maxLength: 2000, size: 40});
  const later = make("input", {type: "checkbox"});
  const flat = make("label", {className: "flat"}, later, "to do afterwards");
  const done = async () => { if (text.value && await send({do: "note", text: text.value, follow_up: later.checked})) { text.value = ""; later.checked = false; } };
  return form(field("Note", text), flat, button("Write it down", done));
}

function options(values) { return values.map(value => make("option", {value, textContent: value})); }

function players(state) {
  const text = make("input", {type: "text", maxLength: 2000, size: 30});
  const take = () => { const value = text.value; text.value = ""; return value; };
  const place = make("select", {}, ...options(state.places));
  const kind = make("select", {}, ...options(state.kinds));
  return [
    form(
      field("In a few words (may be empty)", text),
      button("I see something", () => send({do: "saw", text: take()}), "main"),
      button("I acted", () => send({do: "acted", text: take()})),
    ),
    form(
      field("Where", place), field("What kind", kind),
      button("I think it is this", () => send({do: "suspect", service: place.value, fault_kind: kind.value, text: take()}), "main"),
    ),
    noteForm(),
  ];
}

function build(state) {
  built = true;
  const controls = $("controls");
  if (state.role === "master") {
    $("say-title").textContent = "Notes";
    $("say").append(noteForm());
    controls.append(
      button("Begin", () => send({do: "begin"}), "main"),
      button("Reveal the truth", () => send({do: "reveal"})),
      button("Emergency stop", () => send({do: "stop"}), "stop"),
    );
    controls.children[0].id = "begin";
    controls.children[1].id = "reveal";
    controls.children[2].id = "stop";
  } else {
    $("say").append(...players(state));
  }
}

function faultCard(fault, state) {
  const facts = `${fault.type} on ${fault.target}, ${fault.at}` + (fault.for_s ? ` for ${fault.for_s} s` : "");
  const card = make("div", {className: fault.status === "waits for you" ? "fault waits" : "fault"});
  card.append(make("h3", {textContent: fault.id}), make("p", {className: "dim", textContent: facts}));
  const when = fault.onset_s === null ? "" : `, since ${fault.onset_s} s` + (fault.healed_s === null ? "" : ` to ${fault.healed_s} s`);
  card.append(make("p", {className: "state", textContent: (fault.skipped ? `skipped: ${fault.skipped}` : fault.status) + when}));
  if (state.role !== "master" || !["planned", "waits for you", "decided"].includes(fault.status)) return card;
  const given = make("input", {type: "text", value: JSON.stringify(fault.with), size: 36});
  const target = make("input", {type: "text", value: fault.target, size: 16});
  const reason = make("input", {type: "text", size: 20});
  const approve = () => {
    let parameters;
    try { parameters = JSON.parse(given.value); } catch { $("error").hidden = false; $("error").textContent = "Parameters are no JSON."; return; }
    send({do: "approve", fault: fault.id, with: parameters, target: target.value});
  };
  card.append(form(
    field("Parameters (JSON)", given), field("Target", target), button("Approve", approve, "main"),
    field("Reason to skip", reason), button("Skip", () => send({do: "skip", fault: fault.id, reason: reason.value})),
  ));
  return card;
}

function list(id, rows, none) {
  const items = rows.length ? rows.map(([t, text]) => make("li", {}, make("span", {className: "t", textContent: `${t.toFixed(1)} s`}), text)) : [make("li", {className: "dim", textContent: none})];
  $(id).replaceChildren(...items);
}

const shown = (value, unit) => value === null ? "–" : unit === "%" ? `${(value * 100).toFixed(1)} %` : unit === "s" ? (value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(2)} s`) : `${value.toFixed(1)}/s`;

function chart(points, column, title, unit) {
  const known = points.filter(point => point[column] !== null);
  const most = Math.max(...known.map(point => point[column]), 1e-9), end = Math.max(...points.map(point => point[0]), 1);
  const path = known.map((point, n) => `${n ? "L" : "M"}${(point[0] / end * 600).toFixed(1)} ${(88 - point[column] / most * 84).toFixed(1)}`).join("");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 600 90");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${title}, at most ${shown(most, unit)}`);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return [make("div", {}, make("p", {textContent: known.length ? `${title}: at most ${shown(most, unit)}, ${Math.round(end)} s so far` : `${title}: nothing yet`}), svg)];
}

function said(entry) {
  const words = {approve: "approved", skip: "skipped", reveal: "revealed the truth", stop: "emergency stop", saw: "sees something", suspect: "thinks it is", acted: "acted", note: entry.follow_up ? "to do" : "note"};
  const what = entry.service ? `${entry.service}/${entry.fault_kind}` : entry.fault || "";
  const text = entry.text || entry.reason || "";
  return [entry.by + ":", words[entry.do] || entry.do, what].filter(Boolean).join(" ") + (text ? `: ${text}` : "");
}

function draw(state) {
  if (!built) build(state);
  if (state.scenario) { $("title").textContent = `Game day: ${state.scenario}`; }
  const parts = [state.over ? "over" : state.stopped ? "stopping" : state.running ? `${Math.round(state.elapsed_s)} s` : state.begun ? "starting" : "waiting for the master to begin"];
  if (state.phase) parts.push(state.note || state.phase, state.left_s ? `about ${state.left_s} s left` : "");
  if (state.ended) parts.push(`${state.ended.verdict}: ${state.ended.reason}. Report: ${state.ended.report}`);
  const text = parts.filter(Boolean).join(" · ");
  if ($("status").textContent !== text) $("status").textContent = text;
  if ($("begin")) { $("begin").hidden = state.begun; $("stop").disabled = !state.running; $("reveal").disabled = !state.running || state.revealed; }
  $("truth").hidden = !state.faults;
  const key = JSON.stringify(state.faults || []);
  if (key !== faultsDrawn && !(document.activeElement && document.activeElement.closest("#faults") && document.activeElement.tagName === "INPUT")) {
    faultsDrawn = key;
    $("faults").replaceChildren(...(state.faults || []).map(fault => faultCard(fault, state)));
  }
  const figures = [["Offered", state.slis.offered_per_s, "/s"], ["Served", state.slis.served_per_s, "/s"], ["Latency p95", state.slis.latency_s_p95, "s"], ["Errors", state.slis.errors_ratio, "%"]];
  $("slis").replaceChildren(...figures.map(([name, value, unit]) => make("div", {}, make("dt", {textContent: name}), make("dd", {textContent: shown(value, unit)}))));
  $("charts").replaceChildren(...chart(state.points, 2, "Latency p95", "s"), ...chart(state.points, 3, "Errors", "%"), ...chart(state.points, 1, "Served", "/s"));
  list("alerts", state.alerts.map(a => [a.at_s, `${a.name} ${a.service || ""} ${a.firing ? "firing" : "resolved"}`]), "no alert");
  list("diagnoses", state.diagnoses.map(d => [d.at_s, d.causes.join(", ") || "abstained"]), "no diagnosis");
  list("actions", state.actions.map(a => [a.at_s, `${a.what}: ${a.status}`]), "no action");
  list("said", state.said.map(s => [s.at_s, said(s)]), "nothing yet");
}

const source = new EventSource("events");
source.onmessage = event => {
  const state = JSON.parse(event.data);
  draw(state);
  if (state.over) source.close();
};
source.onerror = () => { if (source.readyState !== EventSource.CLOSED) $("status").textContent = "the game day does not answer"; };
