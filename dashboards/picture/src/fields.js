// What Grafana does to an answer before a panel sees it: frames, transformations, field options.
import {
  FieldType,
  Registry,
  applyFieldOverrides,
  createTheme,
  dateTime,
  standardTransformersRegistry,
  standardTransformers,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';

export const timeRangeOf = (board) => {
  const [from, to] = [dateTime(board.from), dateTime(board.to)];
  return { from, to, raw: { from, to } };
};

export const themeOf = (board) => createTheme({ colors: { mode: board.theme } });

standardTransformersRegistry.setInit(() =>
  [standardTransformers.groupingToMatrixTransformer].map((transformation) => ({
    id: transformation.id,
    name: transformation.name,
    transformation,
    aliasIds: [],
    editor: null,
  }))
);

// The options that our dashboards set; Grafana's own list is part of its server's code.
const STANDARD = ['unit', 'decimals', 'min', 'max', 'noValue', 'thresholds', 'mappings', 'links', 'color'];
const CUSTOM = [
  'drawStyle', 'lineWidth', 'fillOpacity', 'lineStyle', 'barAlignment', 'barWidthFactor', 'stacking',
  'axisSoftMin', 'spanNulls', 'showPoints', 'pointSize', 'cellOptions', 'width', 'minWidth', 'wrapText',
  'wrapHeaderText',
];
const option = (id, more) => ({ id, name: id, path: id, process: (value) => value, shouldApply: () => true, ...more });
const OPTIONS = new Registry(() => [
  ...STANDARD.map((id) => option(id)),
  option('displayName', { process: (value, context) => filled(value, context.field) }),
  ...CUSTOM.map((id) => option(`custom.${id}`, { path: id, isCustom: true })),
]);

const filled = (text, field) =>
  (text ?? '').replace(/\$\{__field\.labels\.(\w+)\}/g, (_, label) => field?.labels?.[label] ?? '');

/** The frames of a panel, as its visualization gets them. */
export async function framesOf(panel, answer, theme) {
  let frames = [panel.targets[0].format === 0 ? wide(answer) : frame(answer)];
  if (panel.transformations) {
    frames = await firstValueFrom(transformDataFrame(panel.transformations, frames));
  }
  return applyFieldOverrides({
    data: frames,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: OPTIONS,
    replaceVariables: (value) => value,
    timeZone: 'utc',
    theme,
  });
}

const frame = ({ columns }) =>
  toDataFrame({ refId: 'A', fields: columns.map(({ name, type, values }) => ({ name, type, values, config: {} })) });

/** One number field for each value of the text column, as the plugin's backend shapes a series. */
function wide({ columns }) {
  const [time, ...others] = columns;
  const label = others.find((column) => column.type === FieldType.string);
  const numbers = others.filter((column) => column !== label);
  const moments = [...new Set(time.values)];
  const fields = numbers.flatMap((number) =>
    label ? seriesOf(time, label, number, moments) : [{ ...number, labels: {}, config: {} }]
  );
  return toDataFrame({ refId: 'A', fields: [{ name: 'time', type: FieldType.time, values: moments, config: {} }, ...fields] });
}

function seriesOf(time, label, number, moments) {
  return [...new Set(label.values)].map((name) => {
    const at = new Map();
    label.values.forEach((value, row) => value === name && at.set(time.values[row], number.values[row]));
    return {
      name: number.name,
      type: FieldType.number,
      labels: { [label.name]: name },
      values: moments.map((moment) => at.get(moment) ?? null),
      config: {},
    };
  });
}
