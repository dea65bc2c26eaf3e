import { render } from 'preact'
import { Console } from './model/console.ts'
import { App } from './ui/App.tsx'
import { ConsoleContext } from './ui/context.ts'
import { listenToKeys } from './ui/keys.ts'
import './style/base.css'
import './style/list.css'
import './style/look.css'
import './style/detail.css'
import './style/forms.css'
import './style/settings.css'
import './style/kept.css'
import './style/way.css'
import './style/sending.css'
import './style/palette.css'
import './style/filter.css'
import './style/start.css'
import './style/bodies.css'

const app = new Console()
app.start()
listenToKeys(app)
const root = document.getElementById('app')!
// What the document itself shows ahead of this script.
root.replaceChildren()
render(<ConsoleContext.Provider value={app}><App /></ConsoleContext.Provider>, root)
