// Builds the console into webui/dist. The same sources give the same bytes: no times, no paths, no maps.
import { build } from 'esbuild'
import { minify } from 'terser'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { weigh } from './weight.mjs'

const app = join(dirname(fileURLToPath(import.meta.url)), '..')

/** needed are the chunks that app.js cannot begin without. */
function needed(metafile) {
  const outputs = new Map(Object.entries(metafile.outputs).map(([path, o]) => [basename(path), o]))
  const names = new Set()
  const add = (name) => {
    for (const i of outputs.get(name).imports) {
      const chunk = basename(i.path)
      if (i.kind !== 'import-statement' || names.has(chunk)) continue
      names.add(chunk)
      add(chunk)
    }
  }
  add('app.js')
  return names
}

/** smaller gives a script shorter names than esbuild does, which gzips a fiftieth smaller. terser's compressing, three
 * times as slow, gains next to nothing on what esbuild has been over. */
async function smaller(script) {
  return (await minify(script, { module: true, ecma: 2020, compress: false })).code + '\n'
}

/** Only a page that has App.tsx loads more parts later. Told so, esbuild puts what they share with it into one chunk, not
 * into one for each combination of parts that share something. */
const later = {
  name: 'later',
  setup(b) {
    b.onResolve({ filter: /^\./ }, ({ kind, path, importer, resolveDir }) =>
      kind === 'dynamic-import' && importer.startsWith(join(app, 'src/ui')) ? { path: relative(app, join(resolveDir, path)), namespace: 'later' } : undefined)
    b.onLoad({ filter: /./, namespace: 'later' }, ({ path }) => (
      { contents: `import './src/ui/App.tsx'\nexport * from './${path}'`, resolveDir: app }))
  },
}

/** bundle writes the console's files to out. */
export async function bundle(out) {
  await mkdir(out, { recursive: true })
  for (const name of await readdir(out)) await rm(join(out, name), { recursive: true })
  const { metafile, outputFiles } = await build({
    absWorkingDir: app,
    metafile: true,
    write: false,
    entryPoints: { app: 'src/main.tsx', worker: 'src/worker.ts' },
    outdir: out,
    bundle: true,
    minify: true,
    format: 'esm',
    splitting: true,
    plugins: [later],
    chunkNames: '[name]-[hash]',
    target: ['es2022', 'chrome110', 'firefox115', 'safari16'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    charset: 'utf8',
    sourcemap: false,
    logLevel: 'warning',
  })
  for (const f of outputFiles) await writeFile(f.path, f.path.endsWith('.js') ? await smaller(f.text) : f.contents)
  // The page is told at once of all parts that its script is made of: else it learns of one only from reading another.
  const parts = [...needed(metafile)].sort().map((name) => `<link rel="modulepreload" href="${name}">\n`).join('')
  const page = await readFile(join(app, 'src/index.html'), 'utf8')
  await writeFile(join(out, 'index.html'), page.replace('<script', () => `${parts}<script`))
  await cp(join(app, 'src/favicon.svg'), join(out, 'favicon.svg'))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await bundle(join(app, '../dist'))
  await weigh(join(app, '../dist'))
}
