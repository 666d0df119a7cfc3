/** Which page stands at which address. */

import { Route, Switch } from "wouter";
import { Toasts } from "./components/toast.tsx";
import { GroupPage } from "./pages/group.tsx";
import { HealthPage } from "./pages/health.tsx";
import { HistoryPage } from "./pages/history.tsx";
import { HomePage } from "./pages/home.tsx";
import { HookPage } from "./pages/hook/hook.tsx";
import { HooksPage } from "./pages/hooks.tsx";
import { NotFoundPage } from "./pages/not_found.tsx";
import { SettingsPage } from "./pages/settings.tsx";
import { Shell } from "./shell.tsx";

export function App() {
  return (
    <Toasts>
      <Shell>
        <Switch>
          <Route path="/" component={HomePage} />
          <Route path="/hooks" component={HooksPage} />
          <Route path="/hooks/:id">{({ id }) => <HookPage key={id} id={id} />}</Route>
          <Route path="/p/*">{({ "*": slug }) => <GroupPage key={slug} slug={decodeURIComponent(slug)} />}</Route>
          <Route path="/history" component={HistoryPage} />
          <Route path="/settings" component={SettingsPage} />
          <Route path="/health" component={HealthPage} />
          <Route component={NotFoundPage} />
        </Switch>
      </Shell>
    </Toasts>
  );
}
