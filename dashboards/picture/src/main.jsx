// A dashboard as Grafana draws it, from its JSON and the store's answers to its questions.
import { ThemeContext } from '@grafana/data';
import { GlobalStyles, Icon, PanelChrome } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { framesOf, themeOf } from './fields';
import { Visualization } from './panels';

const CELL = 30;
const GAP = 8;

const heightOf = (h) => h * CELL + (h - 1) * GAP;

function place({ x, y, w, h }, wide) {
  const column = (wide - 23 * GAP) / 24;
  return {
    left: x * (column + GAP),
    top: y * (CELL + GAP),
    width: w * column + (w - 1) * GAP,
    height: heightOf(h),
  };
}

function Board({ board, frames, theme, wide }) {
  const bottom = Math.max(...board.panels.map(({ gridPos: { y, h } }) => y + h));
  const annotations = board.annotations.map(({ at, color }) => ({ at, color: theme.visualization.getColorByName(color) }));
  return (
    <>
      <header style={{ width: wide }}>
        <h1>{board.title}</h1>
        <div className="controls">
          {board.variables.map(({ label, value }) => (
            <span key={label} className="control">
              <label>{label}</label>
              <b>{value}</b>
            </span>
          ))}
          {board.toggles.map(({ name, color, enabled }) => (
            <span key={name} className="control" style={{ opacity: enabled ? 1 : 0.4 }}>
              <i style={{ background: theme.visualization.getColorByName(color) }} />
              <label>{name}</label>
            </span>
          ))}
          <span className="control range">{board.range}</span>
        </div>
      </header>
      <main style={{ height: heightOf(bottom) }}>
        {board.panels.map((panel, index) => {
          const where = place(panel.gridPos, wide);
          if (panel.type === 'row') {
            return (
              <h2 key={index} style={{ position: 'absolute', ...where }}>
                <Icon name="angle-down" /> {panel.title}
              </h2>
            );
          }
          return (
            <div key={index} style={{ position: 'absolute', ...where }}>
              <PanelChrome title={panel.title} description={panel.description} width={where.width} height={where.height}>
                {(width, height) => (
                  <Visualization {...{ panel, annotations, board, theme, width, height }} frames={frames[index]} />
                )}
              </PanelChrome>
            </div>
          );
        })}
      </main>
    </>
  );
}

const styles = (theme) => `
  body { box-sizing: border-box; width: 100%; margin: 0; padding: 16px; background: ${theme.colors.background.canvas}; overflow: visible; height: auto; }
  header { display: flex; align-items: baseline; gap: 24px; margin: 0 0 8px; }
  h1 { font-size: 20px; font-weight: 500; margin: 0; white-space: nowrap; }
  h2 { font-size: 14px; font-weight: 500; margin: 0; display: flex; align-items: center; gap: 6px; }
  main { position: relative; }
  .controls { display: flex; gap: 8px; flex-wrap: wrap; flex: 1; }
  .control { border: 1px solid ${theme.colors.border.medium}; border-radius: 2px; padding: 3px 8px; font-size: 12px;
    display: inline-flex; gap: 6px; align-items: center; white-space: nowrap; }
  .control label { margin: 0; color: ${theme.colors.text.secondary}; font-size: 12px; }
  .control b { font-weight: 500; }
  .control i { width: 10px; height: 10px; border-radius: 50%; }
  .range { margin-left: auto; }
  .empty { display: grid; place-items: center; height: 100%; color: ${theme.colors.text.secondary}; }
`;

async function draw() {
  const { board } = window;
  const theme = themeOf(board);
  const frames = await Promise.all(
    board.panels.map((panel) => (panel.type === 'row' ? null : framesOf(panel, panel.answer, theme)))
  );
  const wide = document.documentElement.clientWidth - 32;
  createRoot(document.getElementById('root')).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <style>{styles(theme)}</style>
      <Board {...{ board, frames, theme, wide }} />
    </ThemeContext.Provider>
  );
}

draw();
