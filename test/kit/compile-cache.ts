/** Compiled code of modferry, kept between the many processes that tests start: half of a short command's time. */
import { join } from 'node:path';

export const compileCache: Readonly<Record<'NODE_COMPILE_CACHE', string>> = {
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../../.work/compiled'),
};
