'use strict';
// The map: one cell can be tabbed to, the arrow keys go on from there.
(() => {
  const heat = document.getElementById('heat');
  const what = document.getElementById('what');
  const command = document.getElementById('command');
  const rows = Array.from(heat.rows, row => Array.from(row.cells).slice(1));
  let current = null;

  function tell(cell) {
    const scenario = cell.parentElement.cells[0].textContent;
    what.textContent = `${scenario}, ${cell.title}.`;
    command.textContent = cell.dataset.replay;
  }

  function choose(cell) {
    if (current) {
      current.tabIndex = -1;
      current.classList.remove('on');
    }
    current = cell;
    cell.tabIndex = 0;
    cell.classList.add('on');
    tell(cell);
  }

  function placeOf(cell) {
    const row = rows.findIndex(cells => cells.includes(cell));
    return [row, row < 0 ? -1 : rows[row].indexOf(cell)];
  }

  heat.addEventListener('keydown', event => {
    const cell = event.target.closest('td');
    if (!cell || event.ctrlKey || event.altKey || event.metaKey) return;
    let [row, column] = placeOf(cell);
    switch (event.key) {
      case 'ArrowLeft': column -= 1; break;
      case 'ArrowRight': column += 1; break;
      case 'ArrowUp': row -= 1; break;
      case 'ArrowDown': row += 1; break;
      case 'Home': column = 0; break;
      case 'End': column = Infinity; break;
      case 'Enter': if (cell.dataset.way) location.hash = cell.dataset.way; return;
      default: return;
    }
    event.preventDefault();
    const cells = rows[Math.min(Math.max(row, 0), rows.length - 1)];
    cells[Math.min(Math.max(column, 0), cells.length - 1)].focus();
  });
  heat.addEventListener('focusin', event => {
    if (event.target.matches('td')) choose(event.target);
  });
  heat.addEventListener('mouseover', event => {
    const cell = event.target.closest('td');
    if (cell) tell(cell);
  });
  heat.addEventListener('mouseleave', () => {
    if (current) tell(current);
  });
  if (rows.length > 0) choose(heat.querySelector('td.bad, td.unsure') || rows[0][0]);
})();
