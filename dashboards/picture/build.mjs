// Bundle the page: node build.mjs OUTPUT_FOLDER
import { build } from 'esbuild';

await build({
  entryPoints: ['src/main.jsx'],
  outfile: `${process.argv[2]}/main.js`,
  bundle: true,
  minify: true,
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
  loader: { '.svg': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' },
  logLevel: 'error',
});
