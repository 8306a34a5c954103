// The visualizations of Grafana's panels, from @grafana/ui, set up as the panels' options say.
import { getFieldDisplayValues } from '@grafana/data';
import { BarGauge, BigValue, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { timeRangeOf } from './fields';

export function Visualization({ panel, frames, annotations, board, theme, width, height }) {
  const Kind = { stat: Stat, timeseries: Series, table: Rows, bargauge: Bars }[panel.type];
  if (!frames[0].length) {
    return <div className="empty">{panel.fieldConfig.defaults.noValue}</div>;
  }
  return <Kind {...{ panel, frames, annotations, board, theme, width, height }} />;
}

function Stat({ panel, frames, theme, width, height }) {
  const [shown] = displayed(panel, frames, theme, true);
  const { graphMode, colorMode } = panel.options;
  return (
    <BigValue
      {...{ width, height, theme, graphMode, colorMode }}
      textMode="value"
      value={shown.display}
      sparkline={graphMode === 'area' ? shown.sparkline : undefined}
    />
  );
}

function Bars({ panel, frames, theme, width, height }) {
  const { displayMode, orientation, showUnfilled, namePlacement, maxVizHeight } = panel.options;
  return (
    <VizRepeater
      {...{ width, height, orientation, maxVizHeight }}
      autoGrid={false}
      itemSpacing={10}
      source={panel}
      renderCounter={0}
      minVizHeight={16}
      minVizWidth={8}
      getValues={() => displayed(panel, frames, theme, false)}
      getAlignmentFactors={(values) => ({
        title: longest(values, (value) => value.display.title),
        text: longest(values, (value) => value.display.text),
      })}
      renderValue={({ width, height, value, alignmentFactors, orientation, count }) => (
        <BarGauge
          {...{ width, height, theme, orientation, displayMode, showUnfilled, namePlacement, alignmentFactors }}
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          text={{ valueSize: 22, titleSize: 14 }}
          isOverflow={false}
          itemSpacing={10}
          lcdCellWidth={12}
        />
      )}
    />
  );
}

const longest = (values, text) => values.map(text).reduce((one, other) => (`${other}`.length > `${one}`.length ? other : one), '');

const displayed = (panel, frames, theme, sparkline) =>
  getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (value) => value,
    theme,
    data: frames,
    sparkline,
    timeZone: 'utc',
  });

function Rows({ panel, frames, theme, width, height, board }) {
  return (
    <TableNG
      {...{ width, height }}
      data={frames[0]}
      sortBy={panel.options.sortBy}
      noValue={panel.fieldConfig.defaults.noValue}
      timeRange={timeRangeOf(board)}
      cellHeight="sm"
      fieldConfig={panel.fieldConfig}
      enableVirtualization={false}
      columnMinWidth={80}
    />
  );
}

function Series({ panel, frames, annotations, board, width, height }) {
  return (
    <TimeSeries
      {...{ width, height, frames }}
      timeRange={timeRangeOf(board)}
      timeZone="utc"
      legend={panel.options.legend}
      options={panel.options}
    >
      {(builder) => {
        builder.addHook('draw', (plot) => annotations.forEach((one) => mark(plot, one)));
        return null;
      }}
    </TimeSeries>
  );
}

function mark(plot, { at, color }) {
  const x = plot.valToPos(at, 'x', true);
  const { top, left, width, height } = plot.bbox;
  if (x < left || x > left + width) {
    return;
  }
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = color;
  ctx.lineWidth = 1;
  ctx.setLineDash([4, 4]);
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, top + height);
  ctx.stroke();
  ctx.beginPath();
  ctx.moveTo(x, top + height);
  ctx.lineTo(x - 4, top + height + 6);
  ctx.lineTo(x + 4, top + height + 6);
  ctx.fill();
  ctx.restore();
}
