"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { users, held, rights, ways, entries, states } = data;
  const find = (id) => document.getElementById(id);
  const [NAME, DN, OBSTACLE] = [0, 1, 2];
  const [IMAGE, POLICY, STATE, FROM, UNTIL, UNTIL_SECONDS, WAYS] = [0, 1, 2, 3, 4, 5, 6];
  const ROW = 28; // pixels; the style has the same
  const MARGIN = 12; // rows above and below what is seen
  const MOST_PRINTED = 20000;

  // --- what there is: a row is a user and one of his rights, as two numbers

  const total = held.reduce((sum, each) => sum + each.length, 0);
  const rowUser = new Int32Array(total), rowRight = new Int32Array(total), rowState = new Int8Array(total);
  const rightState = rights.map((right) => states.indexOf(right[STATE]));
  const notFound = states.length - 1;
  let row = 0;
  held.forEach((mine, user) => {
    for (const right of mine) {
      rowUser[row] = user;
      rowRight[row] = right;
      rowState[row++] = users[user][OBSTACLE] ? notFound : rightState[right];
    }
  });
  const endsSoon = rights.map((right) => right[STATE] === states[0] && right[UNTIL_SECONDS] !== null
    && right[UNTIL_SECONDS] <= data.soon);

  const wayDNs = (way) => ways[way].map(([entry]) => entries[entry][0]).join(" > ");
  const shortName = (dn) => dn.replace(/^[^=]*=/, "").replace(/(^|[^\\]),.*$/, "$1");
  const wayShort = (way) => ways[way].map(([entry]) => shortName(entries[entry][0])).join(" › ");
  const lazily = (make) => { const known = []; return (key) => known[key] ?? (known[key] = make(key)); };
  const through = lazily((right) => {
    const mine = rights[right][WAYS];
    return wayShort(mine[0]) + (mine.length > 1 ? ` (+${mine.length - 1})` : "");
  });

  // --- filter: each user and each right is looked at once, whatever the number of rows

  const wayText = lazily((way) => wayDNs(way).toLowerCase());
  const userText = users.map((user) => `${user[NAME]}\n${user[DN]}`.toLowerCase());
  const rightText = lazily((right) => {
    const it = rights[right];
    return `${it[IMAGE]}\n${it[POLICY]}\n${it[UNTIL] ?? ""}`.toLowerCase();
  });
  let order = Int32Array.from({ length: total }, (_, number) => number);
  const shown = new Int32Array(total);
  let count = 0;

  function masks(texts, terms) {
    return Int32Array.from(texts, (text) => terms.reduce(
      (mask, term, bit) => (text.includes(term) ? mask | (1 << bit) : mask), 0));
  }

  function rightMasks(terms) {
    const ofWays = masks(ways.map((_, way) => wayText(way)), terms);
    return masks(rights.map((_, right) => rightText(right)), terms)
      .map((mask, right) => rights[right][WAYS].reduce((all, way) => all | ofWays[way], mask));
  }

  function filter() {
    const terms = find("query").value.toLowerCase().split(/\s+/).filter(Boolean).slice(0, 30);
    const wanted = (1 << terms.length) - 1;
    const state = find("state").value, soon = find("soon").checked;
    const ofUsers = masks(userText, terms), ofRights = rightMasks(terms);
    count = 0;
    for (let at = 0; at < total; at++) {
      const each = order[at], right = rowRight[each];
      if ((ofUsers[rowUser[each]] | ofRights[right]) === wanted
        && (state === "" || rowState[each] === +state)
        && (!soon || (endsSoon[right] && rowState[each] === 0))) {
        shown[count++] = each;
      }
    }
    const number = (value) => value.toLocaleString("en");
    find("count").textContent = count === total ? `${number(total)} rights` : `${number(count)} of ${number(total)} rights`;
    draw(true);
  }

  // --- sort: by the rank of a user or a right, counting, so that equals keep their order

  let sorted = { by: "user", down: false };

  function ranks(values, compare) {
    const known = [...new Set(values)].sort(compare);
    const rank = new Map(known.map((value, number) => [value, number]));
    return values.map((value) => rank.get(value));
  }

  const text = new Intl.Collator("en", { numeric: true }).compare;
  const rightRanks = {
    image: lazily(() => ranks(rights.map((right) => right[IMAGE]), text)),
    policy: lazily(() => ranks(rights.map((right) => right[POLICY]), text)),
    until: lazily(() => ranks(rights.map((right) => right[UNTIL_SECONDS] ?? Infinity), (a, b) => (a < b ? -1 : 1))),
    through: lazily(() => ranks(rights.map((_, right) => through(right)), text)),
  };

  function rankOf(by) {
    if (by === "user") return (each) => rowUser[each];
    if (by === "state") return (each) => rowState[each];
    const known = rightRanks[by](0);
    return (each) => known[rowRight[each]];
  }

  function sort(by) {
    sorted = { by, down: sorted.by === by && !sorted.down };
    const rank = rankOf(by), most = Math.max(users.length, rights.length, states.length);
    const place = (each) => (sorted.down ? most - rank(each) : rank(each));
    const starts = new Int32Array(most + 2);
    for (let each = 0; each < total; each++) starts[place(each) + 1]++;
    for (let at = 1; at < starts.length; at++) starts[at] += starts[at - 1];
    order = new Int32Array(total);
    for (let each = 0; each < total; each++) order[starts[place(each)]++] = each;
    filter();
    mark();
  }

  function mark() {
    for (const button of document.querySelectorAll("#rights th button")) {
      const direction = button.dataset.by !== sorted.by ? "none" : sorted.down ? "descending" : "ascending";
      button.parentElement.setAttribute("aria-sort", direction);
    }
  }

  // --- the rows that are seen

  const table = find("rights"), body = table.tBodies[0];
  let first = -1, last = -1, chosen = -1;

  function element(name, content, className, title) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (title) made.title = title;
    made.textContent = content;
    return made;
  }

  const day = (moment) => (moment ? moment.replace("T", " ").replace(":00Z", "").replace("Z", "") : "");

  function line(at, whole) {
    const each = shown[at], user = users[rowUser[each]], right = rights[rowRight[each]];
    const made = document.createElement("tr");
    const again = at > 0 && rowUser[shown[at - 1]] === rowUser[each];
    const state = states[rowState[each]];
    made.dataset.row = each;
    if (each === chosen) made.className = "chosen";
    const ways = element("td", "", "", whole ? "" : wayDNs(right[WAYS][0]));
    if (whole) {
      for (const way of right[WAYS]) ways.append(element("div", wayDNs(way), "dns"));
    } else {
      ways.textContent = through(rowRight[each]);
    }
    const who = element("td", user[NAME], again ? "again" : "", user[DN]);
    if (whole && !again) who.append(element("div", user[DN], "dns"));
    made.append(
      who,
      element("td", right[IMAGE], "", right[IMAGE]),
      element("td", right[POLICY], "", right[POLICY]),
      element("td", state, `state-${state.replace(" ", "-")}`, user[OBSTACLE] ?? ""),
      element("td", right[FROM] ? `from ${day(right[FROM])}` : day(right[UNTIL]), endsSoon[rowRight[each]] ? "ends" : ""),
      ways);
    return made;
  }

  function space(rows) {
    const made = document.createElement("tr"), cell = element("td", "", "space");
    cell.colSpan = 6;
    cell.style.height = `${rows * ROW}px`;
    made.append(cell);
    return made;
  }

  function draw(anew) {
    const above = table.getBoundingClientRect().top + ROW;
    const from = Math.min(Math.max(0, Math.floor(-above / ROW) - MARGIN), Math.max(0, count - 1));
    const to = Math.min(count, from + Math.ceil(window.innerHeight / ROW) + 2 * MARGIN);
    if (!anew && from === first && to === last) return;
    [first, last] = [from, to];
    const lines = [space(from)];
    for (let at = from; at < to; at++) lines.push(line(at, false));
    lines.push(space(count - to));
    body.replaceChildren(...lines);
  }

  // --- one row's details

  function tell(each) {
    chosen = each;
    const user = users[rowUser[each]], right = rights[rowRight[each]];
    const until = right[UNTIL] ? `, until ${day(right[UNTIL])} UTC` : "";
    const made = [
      element("h2", `${user[NAME]}: ${right[IMAGE]}`),
      element("p", user[DN]),
      element("p", `${right[POLICY]}; ${states[rowState[each]]}${until}`),
    ];
    if (user[OBSTACLE]) made.push(element("p", user[OBSTACLE], "cut"));
    right[WAYS].forEach((way, number) => {
      const list = document.createElement("ol");
      for (const [entry, attribute] of ways[way]) {
        const [dn, begins, ends] = entries[entry];
        const when = (begins ? `, from ${day(begins)} UTC` : "") + (ends ? `, until ${day(ends)} UTC` : "");
        list.append(element("li", `${dn} (by ${attribute}${when})`));
      }
      made.push(element("h3", `Way ${number + 1}: the last entry is the grant`), list);
    });
    find("details").lastElementChild.replaceChildren(...made);
    find("details").hidden = false;
    draw(true);
  }

  function close() {
    chosen = -1;
    find("details").hidden = true;
    draw(true);
  }

  // --- on paper all rows are there, with all DNs

  function print() {
    const rows = Math.min(count, MOST_PRINTED);
    find("printed").textContent = rows < count
      ? `Only the first ${rows} of ${count} rights are printed: filter, or use the CSV.`
      : count < total ? `Filtered: ${count} of ${total} rights.` : `All ${total} rights.`;
    const lines = [];
    for (let at = 0; at < rows; at++) lines.push(line(at, true));
    body.replaceChildren(...lines);
  }

  states.forEach((state, number) => {
    const option = element("option", state);
    option.value = number;
    find("state").append(option);
  });
  find("query").addEventListener("input", filter);
  find("state").addEventListener("change", filter);
  find("soon").addEventListener("change", filter);
  find("close").addEventListener("click", close);
  for (const button of document.querySelectorAll("#rights th button")) {
    button.addEventListener("click", () => sort(button.dataset.by));
  }
  body.addEventListener("click", (event) => {
    const made = event.target.closest("tr[data-row]");
    if (made) tell(+made.dataset.row);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  window.addEventListener("scroll", () => requestAnimationFrame(() => draw(false)), { passive: true });
  window.addEventListener("resize", () => draw(true));
  window.addEventListener("beforeprint", print);
  window.addEventListener("afterprint", () => draw(true));
  mark();
  filter();
  document.documentElement.dataset.ready = Math.round(performance.now());
})();
