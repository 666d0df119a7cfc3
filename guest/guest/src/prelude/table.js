// Rows, columns and cells of tables and grids, and how a person moves in them.
(natives, inner) => {
  'use strict';
  const { keys } = Object;
  // As many rows cross at once.
  const ROWS_MAX = 500;

  inner.dataUrlOf = (octets, kinds, otherwise) => {
    const bytes = inner.octetsOf(octets);
    if (bytes === undefined) throw new TypeError('a buffer must be a Uint8Array or an ArrayBuffer');
    const text = natives.toBase64(bytes);
    return `data:${kinds[text[0]] ?? otherwise};base64,${text}`;
  };
  // The first character tells the common ones.
  inner.imageUrlOf = (octets) =>
    inner.dataUrlOf(octets, { i: 'image/png', R: 'image/gif', '/': 'image/jpeg', U: 'image/webp' }, 'image/unknown');

  const dayText = (date) => `${date.getUTCMonth() + 1}/${date.getUTCDate()}/${date.getUTCFullYear()}`;
  const shownText = (value) => (value instanceof Date ? dayText(value) : String(value));

  const columnsOf = (columns, data) => {
    if (columns === undefined || columns === null) {
      const names = new Set();
      for (const row of data ?? []) for (const key of keys(row)) names.add(key);
      return [...names].map((name) => ({ label: name, accessorKey: name }));
    }
    return columns.map((column) => (typeof column === 'string' ? { label: column, accessorKey: column } : column));
  };
  const withoutRender = (columns) =>
    columns.map(({ label, accessorKey }) => (accessorKey === undefined ? { label } : { label, accessorKey }));

  const imageOf = ({ buffer, size, ...image }) => {
    if (size !== undefined) {
      image.width ??= size;
      image.height ??= size;
    }
    return buffer === undefined ? image : { ...image, url: inner.imageUrlOf(buffer) };
  };

  const rowOf = (key, row, columns, menuOf) => {
    const data = {};
    const words = [];
    columns.forEach((column, index) => {
      const name = column.accessorKey ?? `${index}`;
      let cell = column.renderCell?.(row) ?? (column.accessorKey ? row[column.accessorKey] : null);
      if (typeof cell === 'object' && cell !== null && !(cell instanceof Date)) {
        if (typeof cell.image === 'object' && cell.image !== null) cell = { ...cell, image: imageOf(cell.image) };
        if ('label' in cell) {
          if (cell.label === undefined) cell = { ...cell, label: null };
          if (cell.label) words.push(shownText(cell.label));
        } else {
          words.push(String(cell));
        }
      } else {
        words.push(shownText(cell));
      }
      data[name] = cell;
    });
    return { key, data, menu: menuOf ? menuOf(row) : undefined, words: words.join(' ').toLowerCase() };
  };

  // Without the words it is found by.
  const sent = (rows) => rows.map(({ words, ...row }) => (row.menu === undefined ? { key: row.key, data: row.data } : row));

  const found = (rows, query) => {
    if (!query) return rows;
    const wanted = query.toLowerCase();
    return rows.filter(({ words }) => words.includes(wanted));
  };

  const sortable = (row, column) => {
    const cell = Object.hasOwn(row.data, column) ? row.data[column] : null;
    if (typeof cell !== 'object' || cell === null) return cell ?? null;
    if ('value' in cell) return cell.value ?? null;
    if ('label' in cell) return cell.label ?? null;
    return cell;
  };

  // As people sort: without regard to case, and numbers in text by what they count.
  const compareTexts = (a, b) => {
    const [one, other] = [a, b].map((text) => text.toLowerCase().match(/\d+|\D+/g) ?? []);
    for (let i = 0; i < Math.min(one.length, other.length); i++) {
      const [x, y] = [one[i], other[i]];
      const areNumbers = /^\d/.test(x) && /^\d/.test(y);
      const order = areNumbers ? Number(x) - Number(y) : x < y ? -1 : x > y ? 1 : 0;
      if (order !== 0) return order;
    }
    return one.length - other.length || (a < b ? -1 : a > b ? 1 : 0);
  };

  const compare = (a, b) => {
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    if (typeof a === 'string' && typeof b === 'string') return compareTexts(a, b);
    return a < b ? -1 : a > b ? 1 : 0;
  };

  const sorted = (rows, column, direction) => {
    if (!column || !direction) return rows;
    const sign = direction === 'desc';
    return [...rows].sort((a, b) => {
      const [x, y] = [sortable(a, column), sortable(b, column)];
      return sign ? compare(y, x) : compare(x, y);
    });
  };

  const whole = (number, otherwise) => (Number.isSafeInteger(number) && number >= 0 ? number : otherwise);

  // Where a person stands in a table, whatever was sent.
  inner.positionOf = (state) => ({
    queryTerm: typeof state.queryTerm === 'string' ? state.queryTerm : undefined,
    sortColumn: typeof state.sortColumn === 'string' ? state.sortColumn : undefined,
    sortDirection: state.sortDirection === 'asc' || state.sortDirection === 'desc' ? state.sortDirection : undefined,
    offset: whole(state.offset, 0),
    pageSize: whole(state.pageSize, 20),
    isSelectAll: state.isSelectAll === true,
  });

  const pageOf = (rows, { offset, pageSize }) => sent(rows.slice(offset, offset + Math.min(pageSize * 3, ROWS_MAX)));

  inner.displayTable = (props) => {
    const { data, columns, getData, rowMenuItems, ...rest } = props;
    if (typeof getData === 'function') {
      const shown = { ...rest, columns: withoutRender(columnsOf(columns, [])), data: [], isAsync: true };
      return {
        props: shown,
        onState: async (position) => {
          const { isSelectAll, ...asked } = position;
          const { data: rows, totalRecords } = await getData(asked);
          const made = columnsOf(columns, rows);
          const page = rows.map((row, index) => rowOf(`${position.offset + index}`, row, made, rowMenuItems));
          return { data: sent(page), totalRecords, columns: withoutRender(made) };
        },
      };
    }
    const made = columnsOf(columns, data);
    const rows = (data ?? []).map((row, index) => rowOf(`${index}`, row, made, rowMenuItems));
    const total = { columns: withoutRender(made), isAsync: false };
    return {
      props: { ...rest, ...total, data: sent(rows.slice(0, ROWS_MAX)), totalRecords: rows.length },
      isPageable: true,
      onState: (position) => {
        const left = sorted(found(rows, position.queryTerm), position.sortColumn, position.sortDirection);
        return { data: pageOf(left, position), totalRecords: left.length };
      },
    };
  };

  inner.selectTable = (props) => {
    const { data, columns, initiallySelected, rowMenuItems, ...rest } = props;
    const made = columnsOf(columns, data);
    const rows = data.map((row, index) => rowOf(`${index}`, row, made, rowMenuItems));
    const selectedKeys = rows.filter((_, index) => initiallySelected?.(data[index])).map(({ key }) => key);
    const shown = { ...rest, columns: withoutRender(made), data: sent(rows.slice(0, ROWS_MAX)), totalRecords: rows.length, selectedKeys };
    return {
      props: shown,
      isPageable: true,
      getValue: (answer) => {
        const chosen = new Set(answer.map(({ key }) => Number(key)));
        return data.filter((_, index) => chosen.has(index));
      },
      onState: (position) => {
        const left = sorted(found(rows, position.queryTerm), position.sortColumn, position.sortDirection);
        const page = sent(left.slice(position.offset, position.offset + ROWS_MAX));
        return { data: page, totalRecords: left.length, selectedKeys: position.isSelectAll ? left.map(({ key }) => key) : [] };
      },
    };
  };

  const itemOf = (key, row, render) => {
    const values = typeof row === 'object' && row !== null ? Object.values(row) : [];
    return { key, data: render(row), words: values.map(shownText).join(' ').toLowerCase() };
  };

  inner.displayGrid = (props) => {
    const { data, renderItem, getData, ...rest } = props;
    if (typeof renderItem !== 'function') throw new TypeError('io.display.grid: renderItem must be a function');
    if (typeof getData === 'function') {
      return {
        props: { ...rest, data: [], isAsync: true },
        onState: async ({ queryTerm, offset, pageSize }) => {
          const { data: rows, totalRecords } = await getData({ queryTerm, offset, pageSize });
          return { data: sent(rows.map((row, index) => itemOf(`${offset + index}`, row, renderItem))), totalRecords };
        },
      };
    }
    const items = (data ?? []).map((row, index) => itemOf(`${index}`, row, renderItem));
    return {
      props: { ...rest, data: sent(items.slice(0, ROWS_MAX)), totalRecords: items.length, isAsync: false },
      isPageable: true,
      onState: (position) => {
        const left = found(items, position.queryTerm);
        return { data: pageOf(left, position), totalRecords: left.length };
      },
    };
  };
};
