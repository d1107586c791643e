// The status page: asks for status.json every second and puts what it says into the page, as text.
// Nothing it is told becomes HTML, and it asks nobody else.
"use strict";
(() => {
  const EVERY = 1000; // milliseconds from one answer to the next question
  const PATIENCE = 4000; // an answer that takes longer is none
  const WINDOW = 10000; // rates are over so many milliseconds
  const MOST_BARS = 12;

  const at = (id) => document.getElementById(id);
  const whole = new Intl.NumberFormat("en");
  const count = (n) => whole.format(n ?? 0);
  const text = (node, value) => {
    const wanted = value ?? "";
    if (node.textContent !== wanted) node.textContent = wanted;
  };
  const part = (row, name, value) => text(row.querySelector(`[data-part="${name}"]`), value);
  const sum = (object) => Object.values(object ?? {}).reduce((a, b) => a + b, 0);
  const plural = (n, one, many) => (n === 1 ? one : many);

  function millis(ms) {
    if (ms === null || ms === undefined) return "–";
    if (ms >= 100000) return `${count(Math.round(ms / 1000))} s`;
    if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
    if (ms >= 100) return `${Math.round(ms)} ms`;
    return `${ms.toFixed(ms >= 10 ? 1 : 2)} ms`;
  }

  function span(seconds) {
    const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60);
    if (days > 0) return `${count(days)} d ${hours % 24} h`;
    if (hours > 0) return `${hours} h ${minutes % 60} min`;
    if (minutes > 0) return `${minutes} min ${Math.floor(seconds % 60)} s`;
    return `${Math.floor(seconds)} s`;
  }

  function rate(perSecond) {
    if (perSecond === null) return "–";
    return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond));
  }

  // Brings the children of `parent` into line with `items`, keeping those that are there.
  function list(parent, template, items, key, update) {
    const had = new Map();
    for (const row of parent.children) had.set(row.dataset.key, row);
    const rows = items.map((item) => {
      const name = key(item);
      const row = had.get(name) ?? template.content.firstElementChild.cloneNode(true);
      row.dataset.key = name;
      update(row, item);
      return row;
    });
    rows.forEach((row, place) => {
      if (parent.children[place] !== row) parent.insertBefore(row, parent.children[place] ?? null);
    });
    while (parent.children.length > rows.length) parent.lastElementChild.remove();
  }

  // What was counted lately, for rates.
  let samples = [];
  function note(report, now) {
    const statements = report.routes.reduce((total, route) => total + route.count, 0);
    const sample = { now, statements, saved: report.round_trips.saved };
    const last = samples.at(-1);
    // Another process answers, whose counters begin anew.
    if (last && (last.statements > statements || last.saved > sample.saved)) samples = [];
    samples.push(sample);
    while (samples.length > 2 && now - samples[1].now >= WINDOW) samples.shift();
    return sample;
  }
  function lately(name) {
    const first = samples[0], last = samples.at(-1);
    const seconds = (last.now - first.now) / 1000;
    return seconds > 0 ? (last[name] - first[name]) / seconds : null;
  }

  function showHead(report) {
    text(at("region"), report.region ?? "");
    text(at("state"), report.state);
    at("state").className = `state ${report.state}`;
    text(at("about"), `up ${span(report.uptime_seconds)} · version ${report.version}`);
    text(at("config"), `configuration ${report.fingerprint}`);
    const alarms = report.alarms.length;
    document.title = `${alarms ? `(${alarms}) ` : ""}Landbridge${report.region ? ` · ${report.region}` : ""}`;
    const told = [
      ...report.alarms,
      ...report.not_ready.map((line) => ({ what: "not_ready", is_serious: false, text: line })),
    ];
    const parent = at("alarms");
    told.forEach((alarm, place) => {
      const item = parent.children[place] ?? parent.appendChild(document.createElement("li"));
      text(item, alarm.text);
      item.classList.toggle("serious", alarm.is_serious);
    });
    while (parent.children.length > told.length) parent.lastElementChild.remove();
  }

  function showServer(row, server) {
    const is = (name, on) => row.classList.toggle(name, on);
    for (const health of ["up", "down", "doubtful", "unknown"]) is(health, server.health === health);
    const behind = server.lag_ms !== null && server.lag_ms > server.max_lag_ms;
    is("stopped", server.health === "up" && server.replication === "stopped");
    is("behind", server.health === "up" && behind);
    part(row, "name", server.name);
    part(row, "role", server.region ? `${server.role} · ${server.region}` : server.role);
    const facts = [server.health === "unknown" ? "not asked yet" : server.health];
    if (server.rtt_ms !== null) facts.push(`${millis(server.rtt_ms)} away`);
    if (server.replication === "stopped") facts.push("replication stopped");
    else if (server.lag_ms !== null) facts.push(`lag ${millis(server.lag_ms)}`);
    if (server.role === "replica") facts.push(server.takes_reads ? "takes reads" : "takes no reads");
    part(row, "health", facts.join(" · "));
    part(row, "why", server.why);
    part(row, "position", server.position);
    const connections = server.connections;
    const open = connections.idle + connections.leased + connections.resetting + connections.warming;
    const scale = Math.max(open, connections.target, 1);
    const gauge = (name, n) => row.querySelector(`.gauge .${name}`).style.setProperty("--part", String(n / scale));
    gauge("leased", connections.leased + connections.resetting);
    gauge("warming", connections.warming);
    gauge("idle", connections.idle);
    const told = [`${count(connections.idle)} idle`, `${count(connections.leased)} in use`];
    if (connections.resetting > 0) told.push(`${count(connections.resetting)} being cleaned`);
    if (connections.warming > 0) told.push(`${count(connections.warming)} opening`);
    if (connections.waiting > 0) told.push(`${count(connections.waiting)} waiting`);
    told.push(`${count(connections.target)} kept open`);
    part(row, "connections", told.join(" · "));
  }

  function showPicture(report) {
    const template = at("server-template"), name = (server) => server.name;
    const near = report.servers.filter((server) => server.is_near);
    const far = report.servers.filter((server) => !server.is_near);
    list(at("near"), template, near, name, showServer);
    list(at("far"), template, far, name, showServer);
    at("nobody-far").hidden = far.length > 0;
    text(at("here"), report.region ?? "this shore");
    const regions = [...new Set(far.map((server) => server.region).filter(Boolean))];
    text(at("there"), regions.join(", ") || "the other shore");
    const { connected } = report.clients;
    text(at("clients"), count(connected));
    text(at("clients-word"), plural(connected, "client", "clients"));
    const primary = report.servers.find((server) => server.role === "primary");
    const lost = !primary || primary.health === "down" || primary.health === "doubtful";
    at("ocean").classList.toggle("broken", lost);
    text(at("rtt"), lost ? "no primary" : millis(primary.rtt_ms));
    text(at("saved"), count(report.round_trips.saved));
    const waited = primary?.rtt_ms ? (report.round_trips.saved * primary.rtt_ms) / 1000 : 0;
    text(at("hours"), waited >= 1 ? `about ${span(waited)} of ocean` : "");
  }

  function showBars(parent, items) {
    const most = Math.max(1, ...items.map((item) => item.value));
    list(parent, at("bar-template"), items, (item) => item.key, (row, item) => {
      row.className = item.kind ?? "";
      part(row, "label", item.label);
      part(row, "value", count(item.value));
      row.querySelector(".bar").style.setProperty("--part", String(item.value / most));
    });
  }

  function showNumbers(report, sample) {
    text(at("rate"), rate(lately("statements")));
    text(at("statements-total"), count(sample.statements));
    text(at("saved-rate"), rate(lately("saved")));
    const spent = report.round_trips.spent;
    text(at("spent"), spent === null ? "" : `, ${count(spent)} waited for since the start`);
    const routes = report.routes.map((route) => ({
      key: `${route.target} ${route.reason}`, label: route.reason, kind: route.target, value: route.count,
    }));
    at("no-routes").hidden = routes.length > 0;
    const shown = routes.slice(0, MOST_BARS);
    const rest = routes.slice(MOST_BARS).reduce((total, route) => total + route.value, 0);
    if (rest > 0) shown.push({ key: "rest", label: "all others", kind: "primary", value: rest });
    showBars(at("routes"), shown);
    const saved = Object.entries(report.round_trips.saved_by).sort((a, b) => b[1] - a[1]);
    showBars(at("saved-by"), saved.map(([kind, value]) => ({ key: kind, label: kind, value })));
  }

  function showWaits({ clients, consistency }) {
    const waits = consistency.waits ?? {};
    const facts = [
      { name: "running a statement now", value: clients.running },
      { name: "waiting for a connection", value: clients.waiting_for_connection, warn: true },
      { name: "waiting for a primary, or for RESUME", value: clients.waiting_at_gate, warn: true },
      { name: "holding nothing", value: clients.free },
      { name: "transaction begun, nothing sent yet", value: clients.begun },
      { name: "in a transaction", value: clients.in_transaction },
      { name: "pinned to a connection", value: clients.pinned },
      ...Object.entries(clients.pins).map(([name, value]) => ({ name, value, nested: true })),
      { name: "reads that waited for a replica", value: sum(waits) },
      ...Object.entries(waits).map(([name, value]) => ({ name: name.replaceAll("_", " "), value, nested: true })),
      { name: "stale reads avoided", value: consistency.stale_reads_avoided },
    ];
    list(at("waits"), at("fact-template"), facts, (fact) => `${fact.nested ? "+" : ""}${fact.name}`, (row, fact) => {
      row.classList.toggle("nested", Boolean(fact.nested));
      row.classList.toggle("warn", Boolean(fact.warn) && fact.value > 0);
      part(row, "name", fact.name);
      part(row, "value", count(fact.value));
    });
  }

  let order = "total_ms", shown = null;
  function showStatements(report) {
    const isFull = report.detail === "full";
    at("statements-table").hidden = report.statements.length === 0;
    text(at("statements-note"), !isFull
      ? "Statements, users and transactions are shown on Landbridge's own machine only; [listen] status says otherwise."
      : report.statements.length === 0
        ? "No statement is known: none has come yet, or [admin] digests is 0."
        : "Those that took most time, and the slowest; literals are never kept.");
    const sign = order === "last_seconds" ? 1 : -1;
    const statements = [...report.statements].sort((a, b) => sign * (a[order] - b[order]));
    list(at("statements"), at("statement-template"), statements,
      (line) => `${line.target} ${line.reason} ${line.digest}`, (row, line) => {
        part(row, "digest", line.digest);
        part(row, "target", line.target);
        row.querySelector(".target").classList.toggle("primary", line.target === "primary");
        part(row, "reason", line.reason);
        part(row, "count", count(line.count));
        part(row, "mean", millis(line.mean_ms));
        part(row, "worst", millis(line.worst_ms));
        part(row, "total", millis(line.total_ms));
        part(row, "last", line.last_seconds < 1 ? "now" : `${span(line.last_seconds)} ago`);
      });
    for (const button of document.querySelectorAll("button[data-sort]")) {
      const column = button.closest("th");
      if (button.dataset.sort !== order) column.removeAttribute("aria-sort");
      else column.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
    }
  }

  function showPools(report) {
    at("pools-section").hidden = report.pools.length === 0;
    const key = (pool) => `${pool.server} ${pool.user} ${pool.flags}`;
    list(at("pools"), at("pool-template"), report.pools, key, (row, pool) => {
      const { connections } = pool;
      part(row, "server", pool.server);
      part(row, "user", pool.flags ? `${pool.user} (${pool.flags})` : pool.user);
      part(row, "state", pool.failure ?? (pool.is_warm ? "warm" : "warming"));
      row.querySelector('[data-part="state"]').classList.toggle("failing", pool.failure !== null);
      part(row, "leased", count(connections.leased));
      part(row, "idle", count(connections.idle));
      part(row, "warming", count(connections.warming));
      part(row, "waiting", count(connections.waiting));
      part(row, "size", `${count(connections.target)} / ${count(connections.max)}`);
    });
  }

  function show(report) {
    shown = report;
    const sample = note(report, performance.now());
    showHead(report);
    showPicture(report);
    showNumbers(report, sample);
    showWaits(report);
    showStatements(report);
    showPools(report);
  }

  let since = null;
  function gone(why) {
    if (why === null) {
      since = null;
    } else {
      since ??= new Date();
      const asOf = shown ? " What you see is from before." : "";
      text(at("gone"), `Landbridge does not answer since ${since.toLocaleTimeString()} (${why}).${asOf}`);
      text(at("state"), "gone");
      at("state").className = "state";
      document.title = "(gone) Landbridge";
    }
    at("gone").hidden = why === null;
    document.body.classList.toggle("is-gone", why !== null);
  }

  let timer = null, isAsking = false;
  async function ask() {
    timer = null;
    if (document.hidden || isAsking) return;
    isAsking = true;
    try {
      const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      if (!answer.ok) throw new Error(`it answers ${answer.status}`);
      show(await answer.json());
      gone(null);
    } catch (error) {
      gone(error instanceof TypeError ? "it cannot be reached" : error.message);
    }
    isAsking = false;
    if (!document.hidden) timer = setTimeout(ask, EVERY);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) ask();
  });
  for (const button of document.querySelectorAll("button[data-sort]")) {
    button.addEventListener("click", () => {
      order = button.dataset.sort;
      if (shown) showStatements(shown);
    });
  }
  ask();
})();
