function r(r){let e=JSON.rawJSON;return JSON.parse(r,function(r,n,o){return typeof n!="number"||o?.source===void 0||String(n)===o.source||!e?n:e(o.source)})}export{r as a};
