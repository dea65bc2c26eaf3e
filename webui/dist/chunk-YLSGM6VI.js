function s(u){let t=JSON.rawJSON;return JSON.parse(u,function(e,n,r){return typeof n!="number"||r?.source===void 0||String(n)===r.source||!t?n:t(r.source)})}export{s as a};
