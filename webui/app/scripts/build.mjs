// Builds the console into webui/dist. The same sources give the same bytes: no times, no paths, no maps.
import { build } from 'esbuild'
import { cp, mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const app = join(dirname(fileURLToPath(import.meta.url)), '..')

/** bundle writes the console's files to out. */
export async function bundle(out) {
  await mkdir(out, { recursive: true })
  for (const name of await readdir(out)) await rm(join(out, name), { recursive: true })
  await build({
    absWorkingDir: app,
    entryPoints: { app: 'src/main.tsx', worker: 'src/worker.ts' },
    outdir: out,
    bundle: true,
    minify: true,
    format: 'esm',
    splitting: true,
    chunkNames: '[name]-[hash]',
    target: ['es2022', 'chrome110', 'firefox115', 'safari16'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    charset: 'utf8',
    sourcemap: false,
    logLevel: 'warning',
  })
  await cp(join(app, 'src/index.html'), join(out, 'index.html'))
  await cp(join(app, 'src/favicon.svg'), join(out, 'favicon.svg'))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle(join(app, '../dist'))
