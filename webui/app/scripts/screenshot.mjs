// Writes docs/console.png, the picture in the README, from a real eaves. See test/picture.ts.
import { build } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const app = join(dirname(fileURLToPath(import.meta.url)), '..')
const out = await mkdtemp(join(app, 'node_modules', '.picture-'))
try {
  const script = join(out, 'picture.mjs')
  await build({ absWorkingDir: app, entryPoints: ['test/picture.ts'], outfile: script, bundle: true, platform: 'node', format: 'esm', target: 'node18', packages: 'external' })
  process.exitCode = spawnSync(process.execPath, [script, join(app, '../../docs/console.png')], { stdio: 'inherit', cwd: app }).status ?? 1
} finally {
  await rm(out, { recursive: true, force: true })
}
