// Store pictures with a palette of 128 colours: node shrink.mjs FILE...
import { readFileSync, writeFileSync } from 'node:fs';
import UPNG from 'upng-js';

for (const file of process.argv.slice(2)) {
  const picture = UPNG.decode(readFileSync(file));
  const pixels = UPNG.toRGBA8(picture);
  writeFileSync(file, Buffer.from(UPNG.encode(pixels, picture.width, picture.height, 128)));
}
