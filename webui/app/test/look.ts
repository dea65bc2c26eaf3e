// Looking at a page: a picture of it, what axe-core finds, and whether anything sticks out.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Page } from 'playwright-core'

const axe = readFileSync(createRequire(join(process.cwd(), 'package.json')).resolve('axe-core/axe.min.js'), 'utf8')
const pictures = join(process.cwd(), 'screenshots')
mkdirSync(pictures, { recursive: true })

interface Finding { id: string; help: string; nodes: { html: string; failureSummary: string }[] }

/** In the dark, only colours can be other than in the light. */
const rules = (name: string) => (name.endsWith('-dark') ? { runOnly: ['color-contrast'] } : {})

/** check takes a picture and fails on anything that axe-core finds, and on a page wider than its window. */
export async function check(page: Page, name: string): Promise<void> {
  // What fades or turns is still when the picture is taken.
  await page.screenshot({ path: join(pictures, `${name}.png`), animations: 'disabled' })
  const found = await page.evaluate(async ({ source, options }) => {
    const w = window as unknown as { axe?: { run(options: unknown): Promise<{ violations: Finding[] }> } }
    // Run as the test's own script: the page's policy lets no other in.
    if (!w.axe) (0, eval)(source)
    return (await w.axe!.run({ resultTypes: ['violations'], ...options })).violations
  }, { source: axe, options: rules(name) }).catch((e: Error) => { throw new Error(`axe on ${name}: ${e.message}`) }) as Finding[]
  assert.deepEqual(found.map((f) => `${f.id}: ${f.help}: ${f.nodes.map((n) => `${n.html.slice(0, 160)} ${n.failureSummary.slice(0, 300)}`).join(' | ')}`), [], name)
  const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth] as const)
  assert.ok(wide[0] <= wide[1], `${name} is ${wide[0]} wide on ${wide[1]}`)
}

export const sizes = [{ name: 'wide', width: 1280, height: 800 }, { name: 'narrow', width: 375, height: 720 }] as const
export const schemes = ['light', 'dark'] as const
