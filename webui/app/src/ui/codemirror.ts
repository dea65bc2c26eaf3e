// CodeMirror, set up for bodies. It lives in a shadow root: there its styles are adopted style sheets, which a content
// security policy without unsafe-inline lets be, and nothing of the page's reaches in but the colours.

import { history, historyKeymap, standardKeymap } from '@codemirror/commands'
import { json } from '@codemirror/lang-json'
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting, syntaxTree } from '@codemirror/language'
import { Compartment, EditorState, StateEffect, StateField } from '@codemirror/state'
import { Decoration, drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, ViewPlugin, type DecorationSet, type ViewUpdate } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { xml } from './xmllanguage.ts'

export type Language = 'json' | 'xml' | 'text'

/** An editor on the page. */
export interface Code {
  set(text: string): void
  speak(language: Language): void
  focus(): void
  close(): void
}

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.attributeName], color: 'var(--redirect)' },
  { tag: [tags.string, tags.attributeValue], color: 'var(--ok)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--open)' },
  { tag: [tags.tagName, tags.keyword], color: 'var(--accent)' },
  { tag: [tags.comment, tags.processingInstruction], color: 'var(--dim)' },
  { tag: tags.invalid, color: 'var(--bad)' },
])

const theme = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'var(--ground)', fontSize: '12.5px', maxHeight: '40vh', minHeight: '120px' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.5', overflow: 'auto', minHeight: '120px' },
  '.cm-content': { caretColor: 'var(--text)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--raised)', color: 'var(--dim)', borderRight: '1px solid var(--line)' },
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--sunken) 45%, transparent)' },
  '.cm-activeLineGutter': { backgroundColor: 'var(--sunken)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--select)' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--accent-ground)', outline: '1px solid var(--accent)' },
  '.mistake': { textDecoration: 'underline wavy var(--bad)', backgroundColor: 'var(--bad-ground)' },
  '.cm-specialChar': { color: 'var(--bad)' },
})

/** edit puts an editor into an element. */
export function edit(host: HTMLElement, text: string, label: string, language: Language, changed: (text: string) => void, problem: (text: string) => void): Code {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open', delegatesFocus: true })
  const inside = document.createElement('div')
  root.replaceChildren(inside)
  const mode = new Compartment()
  let setting = false
  const view = new EditorView({
    root,
    parent: inside,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(), history(), drawSelection(), indentOnInput(), bracketMatching(), highlightActiveLine(),
        syntaxHighlighting(colours), theme, EditorView.lineWrapping, mode.of(speaking(language, problem)),
        // Tab goes on to the next field: whoever has only a keyboard gets out.
        keymap.of([...standardKeymap, ...historyKeymap]),
        EditorView.domEventHandlers({ beforeinput: replace }),
        EditorView.contentAttributes.of({ 'aria-label': label, 'aria-multiline': 'true', spellcheck: 'false', autocapitalize: 'off' }),
        EditorView.updateListener.of((u) => { if (u.docChanged && !setting) changed(u.state.doc.toString()) }),
      ],
    }),
  })
  return {
    set(next) {
      if (next === view.state.doc.toString()) return
      setting = true
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } })
      setting = false
    },
    speak: (next) => view.dispatch({ effects: mode.reconfigure(speaking(next, problem)) }),
    focus: () => view.focus(),
    close: () => view.destroy(),
  }
}

/** replace puts what is typed in the place of the selection. A browser left to do it keeps the look of what was there by an
 * inline style, which the content security policy then has to stop. */
function replace(e: InputEvent, view: EditorView): boolean {
  if (e.inputType !== 'insertText' || e.isComposing || e.data === null || view.composing || view.state.selection.main.empty) return false
  view.dispatch(view.state.replaceSelection(e.data), { userEvent: 'input.type', scrollIntoView: true })
  e.preventDefault()
  return true
}

interface Mistake {
  from: number
  to: number
  message: string
}

/** How long after the last key the text is checked. */
const pause = 250

const marks = StateEffect.define<readonly Mistake[]>()
const marked = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(now, t) {
    for (const e of t.effects) {
      if (e.is(marks)) return Decoration.set(e.value.filter((m) => m.to > m.from).map((m) => Decoration.mark({ class: 'mistake' }).range(m.from, m.to)), true)
    }
    return now.map(t.changes)
  },
  provide: (f) => EditorView.decorations.from(f),
})

/** speaking sets a language and its check up. */
function speaking(language: Language, problem: (text: string) => void) {
  problem('')
  if (language === 'text') return []
  const check = ViewPlugin.define((view) => {
    let due: ReturnType<typeof setTimeout> | undefined
    const later = () => {
      clearTimeout(due)
      due = setTimeout(() => {
        const found = mistakes(view, language)
        view.dispatch({ effects: marks.of(found) })
        const first = found[0]
        const line = first && view.state.doc.lineAt(first.from)
        problem(first && line ? `Line ${line.number}, column ${first.from - line.from + 1}: ${first.message}` : '')
      }, pause)
    }
    later()
    return { update(u: ViewUpdate) { if (u.docChanged) later() }, destroy() { clearTimeout(due) } }
  })
  return [language === 'json' ? json() : xml(), marked, check]
}

/** mistakes are the places where the parser had to guess. */
function mistakes(view: EditorView, language: Language): Mistake[] {
  const doc = view.state.doc
  if (doc.length === 0) return []
  const out: Mistake[] = []
  const name = language === 'json' ? 'JSON' : 'XML'
  syntaxTree(view.state).iterate({
    enter(node) {
      if (!node.type.isError || out.length >= 20) return
      const from = Math.min(node.from, doc.length)
      const text = doc.sliceString(from, Math.min(node.to, from + 30)).trim()
      out.push({ from, to: Math.min(doc.length, Math.max(node.to, from + 1)), message: text ? `“${text}” does not belong here in ${name}` : `something is missing here for ${name}` })
    },
  })
  // The parser mends what it can; what it mended well enough is still no JSON.
  if (language === 'json' && out.length === 0 && doc.length < 2_000_000) {
    try {
      JSON.parse(doc.toString())
    } catch (e) {
      const at = Math.min(Number(/position (\d+)/.exec(String(e))?.[1] ?? 0), doc.length)
      out.push({ from: at, to: Math.min(at + 1, doc.length), message: 'this is no JSON' })
    }
  }
  return out
}
