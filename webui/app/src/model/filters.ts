// What the filter box knows beside its text: the language's fields, values that were seen, the filter in words, filters
// that are saved under names and those that were used lately.

import { effect, signal, type ReadonlySignal } from '@preact/signals'
import * as api from '../api/language.ts'
import type { FilterField, SavedFilter, Values } from '../api/language.ts'
import type { Place } from './complete.ts'

const key = 'eaves.filters'
const remembered = 30
/** How many values are offered at once. */
const offered = 12
/** Values change as traffic comes: what was asked for is good for a while. */
const fresh = 5000

export class Filters {
  readonly fields = signal<FilterField[]>([])
  readonly saved = signal<SavedFilter[]>([])
  /** What the list shows, in words; empty where everything is shown. */
  readonly words = signal('')
  private asked = false
  private seen = new Map<string, { at: number; values: Promise<Values | undefined> }>()

  /** follow keeps the words those of a filter. */
  follow(filter: ReadonlySignal<string>): void {
    let reading: AbortController | undefined
    effect(() => {
      const text = filter.value
      reading?.abort()
      if (text === '') {
        this.words.value = ''
        return
      }
      const mine = (reading = new AbortController())
      api.read(text, mine.signal).then((p) => { if (!mine.signal.aborted) this.words.value = p.words }, () => { if (!mine.signal.aborted) this.words.value = '' })
    })
  }

  /** prepare reads what completing needs. What cannot be read is asked for again the next time. */
  prepare(): void {
    void this.readSaved()
    if (this.asked) return
    this.asked = true
    api.fields().then((f) => (this.fields.value = f), () => (this.asked = false))
  }

  async readSaved(): Promise<void> {
    try {
      this.saved.value = await api.savedFilters()
    } catch {
      // The box works without them.
    }
  }

  /** save keeps a filter under a name. It throws what the server says against it. */
  async save(name: string, filter: string): Promise<void> {
    await api.saveFilter(name, filter)
    await this.readSaved()
  }

  async remove(id: number): Promise<void> {
    await api.removeFilter(id)
    await this.readSaved()
  }

  /** values are those that may be meant at a place; undefined where none can be had. */
  values(p: Place): Promise<Values | undefined> {
    if (!p.field) return Promise.resolve(undefined)
    const id = JSON.stringify([p.field.name, p.word, p.rest])
    const known = this.seen.get(id)
    if (known && known.at > Date.now() - fresh) return known.values
    const name = p.field.name
    // A filter that has a mistake elsewhere narrows nothing.
    const values = api.values(name, p.word, p.rest, offered).catch(() => (p.rest === '' ? undefined : api.values(name, p.word, '', offered).catch(() => undefined)))
    if (this.seen.size > 50) this.seen.clear()
    this.seen.set(id, { at: Date.now(), values })
    return values
  }

  /** history lists the filters used lately, the latest first. */
  history(): string[] {
    try {
      const list: unknown = JSON.parse(localStorage.getItem(key) ?? '[]')
      return Array.isArray(list) ? list.filter((x): x is string => typeof x === 'string' && x !== '') : []
    } catch {
      return []
    }
  }

  remember(filter: string): void {
    if (filter === '') return
    try {
      localStorage.setItem(key, JSON.stringify([filter, ...this.history().filter((f) => f !== filter)].slice(0, remembered)))
    } catch {
      // A browser may refuse its storage: there is no history then.
    }
  }

  forget(): void {
    try {
      localStorage.removeItem(key)
    } catch {
      // As above.
    }
  }
}
