import{a as o,b as r}from"./chunk-OZO4ASBB.js";import"./chunk-EEPD46WU.js";import"./chunk-6UBROBQJ.js";import"./chunk-6ATBPRIA.js";export{o as protobuf,r as writeMessage};
